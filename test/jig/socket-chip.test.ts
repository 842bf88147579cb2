import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSocketChip } from '../../src/jig/socket-chip.ts';
import { RecordingBoard } from '../peers/recording-board.ts';
import { tempFolder } from '../temp-folder.ts';
import { BENCH_LINES, gpioContract } from './gpio-contract.ts';

gpioContract("on a virtual board's socket", async () => {
  const path = join(tempFolder(), 'dut.chip');
  const board = new RecordingBoard(BENCH_LINES.slice(0, 4), BENCH_LINES.slice(4));
  const changes: string[] = [];
  board.lines.onEdge(({ line, level }) => changes.push(`${line}=${level}`));
  let server = await board.serve(path);
  onTestFinished(async () => await server[Symbol.asyncDispose]());
  return {
    open: () => openSocketChip(path),
    levelAt: (offset) => board.lines.levelOf(BENCH_LINES[offset] ?? ''),
    driveFromBoard: (offset, level) => board.lines.setLevel(BENCH_LINES[offset] ?? '', level),
    changes,
    unplug: async () => await server[Symbol.asyncDispose](),
    plug: async () => {
      server = await board.serve(path);
    },
  };
});

test('a board without adjustable resistors refuses a bias, and a line that it drives itself', async () => {
  const path = join(tempFolder(), 'dut.chip');
  const board = new RecordingBoard(['reset'], ['led']);
  await using _server = await board.serve(path);
  await using chip = await openSocketChip(path);
  await expect(
    chip.request('a test', new Map([[0, { direction: 'input', bias: 'pull-up' }]])),
  ).rejects.toMatchObject({
    blame: 'config',
    message: `${path}: line reset: expected no bias, the board's resistors are its own`,
  });
  const led = { direction: 'output', mode: 'push-pull', bias: 'as-is', initial: 1 } as const;
  await expect(chip.request('a test', new Map([[1, led]]))).rejects.toMatchObject({ blame: 'config' });
});

test('a board that does not answer is given up, by hanging up', async () => {
  const path = join(tempFolder(), 'dut.chip');
  const server = createServer();
  const connected = once(server, 'connection') as Promise<[Socket]>;
  server.listen(path);
  onTestFinished(() => {
    server.close();
  });
  const opening = openSocketChip(path);
  const [socket] = await connected;
  const hungUp = once(socket.resume(), 'close');
  await expect(opening).rejects.toMatchObject({
    blame: 'unavailable',
    message: `${path}: the chip has not answered for 2000 ms`,
  });
  await hungUp;
});
