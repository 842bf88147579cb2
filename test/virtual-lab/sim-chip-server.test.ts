import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SimChipClient } from '../../src/sim-chip/sim-chip-client.ts';
import type { Board } from '../../src/virtual-lab/board.ts';
import { serveSimChip } from '../../src/virtual-lab/sim-chip-server.ts';
import { startUnoBoard } from '../../src/virtual-lab/uno-board.ts';
import type { SimChipEvent } from '../../src/wire/sim-chip.ts';

let dir: string;
let path: string;
let board: Board;
let server: AsyncDisposable;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sai-chip-'));
  path = join(dir, 'dut.chip');
  board = await startUnoBoard({ name: 'dut', dir });
  server = await serveSimChip(board, path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  expect(existsSync(path)).toBe(false);
  await board[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});
afterEach(async () => {
  // Whatever a test held, it let go of by the end of its connections.
  await level('reset', 1);
  await level('button', 1);
});

async function level(line: string, wanted: 0 | 1): Promise<void> {
  if (board.lines.levelOf(line) === wanted) return;
  await new Promise<void>((resolve) => {
    const stop = board.lines.onEdge((edge) => {
      if (edge.line !== line || edge.level !== wanted) return;
      stop();
      resolve();
    });
  });
}

/** A collector of edges, and a way to wait until there are so many. */
function edgeLog(): {
  listener: (edge: SimChipEvent) => void;
  first: (count: number) => Promise<readonly string[]>;
} {
  const seen: string[] = [];
  let arrived = (): void => {};
  return {
    listener: (edge) => {
      seen.push(`${edge.line} ${edge.level}`);
      arrived();
    },
    first: async (count) => {
      while (seen.length < count) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
      return seen;
    },
  };
}

describe('lines', () => {
  test('are listed with their direction, level and holder', async () => {
    using client = await SimChipClient.connect(path);
    await client.request('a test', { button: 0 });
    expect(await client.info()).toEqual({
      chip: 'dut',
      lines: [
        { name: 'reset', offset: 0, direction: 'input', consumer: null, level: 1 },
        { name: 'button', offset: 1, direction: 'input', consumer: 'a test', level: 0 },
        { name: 'led', offset: 2, direction: 'output', consumer: null, level: 0 },
      ],
    });
  });

  test('are driven, read, watched and released', async () => {
    using watcher = await SimChipClient.connect(path);
    const log = edgeLog();
    await watcher.watch(['button'], log.listener);
    using client = await SimChipClient.connect(path);
    await client.request('a test', { button: 0, reset: 1 });
    expect(await watcher.get(['button', 'reset'])).toEqual({ button: 0, reset: 1 });
    await client.set({ button: 1 });
    await client.set({ button: 0 });
    await client.release(['button']);
    expect(await watcher.get(['button'])).toEqual({ button: 1 });
    expect(await log.first(4)).toEqual(['button 0', 'button 1', 'button 0', 'button 1']);
  });

  test('held by one connection are busy for another, and none of its request is taken', async () => {
    using holder = await SimChipClient.connect(path);
    await holder.request('the jig', { button: 0 });
    using other = await SimChipClient.connect(path);
    await expect(other.request('another', { reset: 0, button: 1 })).rejects.toMatchObject({
      blame: 'busy',
      message: 'button: expected a free line, it is held by the jig',
    });
    expect(await other.get(['reset', 'button'])).toEqual({ reset: 1, button: 0 });
    await expect(other.set({ button: 1 })).rejects.toMatchObject({ blame: 'usage' });
    await expect(other.release(['button'])).rejects.toMatchObject({ blame: 'usage' });
    await holder.release(['button']);
    await other.request('another', { button: 0 });
  });

  test('that are unknown or driven by the board are refused', async () => {
    using client = await SimChipClient.connect(path);
    const unknown = { blame: 'usage', message: 'rest: expected a line of this chip: reset, button, led' };
    await expect(client.request('a test', { rest: 0 })).rejects.toMatchObject(unknown);
    await expect(client.get(['rest'])).rejects.toMatchObject(unknown);
    await expect(client.watch(['rest'], () => {})).rejects.toMatchObject(unknown);
    await expect(client.request('a test', { led: 1 })).rejects.toMatchObject({
      message: 'led: expected a line that can be driven, the board drives it',
    });
  });

  test('are let go of when their holder disconnects', async () => {
    const client = await SimChipClient.connect(path);
    await client.request('a test', { button: 0 });
    client[Symbol.dispose]();
    await level('button', 1);
  });

  test('are let go of when their holder is killed', async () => {
    const request = JSON.stringify({ op: 'request', id: 1, consumer: 'doomed', outputs: { button: 0 } });
    const script = `require('net').connect(process.argv[1]).write(process.argv[2] + '\\n')`;
    const child = spawn(process.execPath, ['-e', script, path, request], { stdio: 'ignore', env: {} });
    await level('button', 0);
    child.kill('SIGKILL');
    await level('button', 1);
  });
});

test('the board is unplugged, plugged in and powered through its chip', async () => {
  using client = await SimChipClient.connect(path);
  await client.act('unplug');
  expect(existsSync(join(dir, 'dut.tty0'))).toBe(false);
  await client.act('plug');
  expect(existsSync(join(dir, 'dut.tty0'))).toBe(true);
  await client.act('power-off');
  await client.act('power-on');
});

describe('a peer that misbehaves', () => {
  test.each([
    ['no JSON', 'hello', null],
    ['no object', '42', null],
    ['an unknown operation', '{"op":"explode","id":7}', 7],
    ['an unknown key', '{"op":"info","id":8,"x":1}', 8],
    ['an impossible level', '{"op":"request","id":9,"consumer":"x","outputs":{"reset":2}}', 9],
    ['no id', '{"op":"info"}', null],
    ['deep nesting', '['.repeat(8000), null],
    ['bytes that are no text', '\xff\xfe\x00', null],
  ])('is answered EINVAL for %s, and may go on', async (_what, text, id) => {
    const raw = new RawClient(path);
    raw.socket.write(`${text}\n{"op":"get","id":1,"lines":["led"]}\n`);
    expect(await raw.reply()).toMatchObject({ id, ok: false, code: 'EINVAL' });
    expect(await raw.reply()).toEqual({ id: 1, ok: true, levels: { led: 0 } });
    raw.socket.destroy();
  });

  test('is answered once and cut off when its line has no end', async () => {
    const raw = new RawClient(path);
    raw.socket.write('x'.repeat(100_000));
    expect(await raw.reply()).toMatchObject({ id: null, ok: false, code: 'EINVAL' });
    await raw.closed;
  });

  test('and asks without reading waits, and gets every answer once it reads', async () => {
    const raw = new RawClient(path);
    raw.socket.pause();
    const count = 5000;
    for (let id = 0; id < count; id++) raw.socket.write(`{"op":"info","id":${id}}\n`);
    using other = await SimChipClient.connect(path);
    expect((await other.info()).chip).toBe('dut');
    raw.socket.resume();
    for (let id = 0; id < count; id++) expect((await raw.reply()).id).toBe(id);
    raw.socket.destroy();
  });

  test('and watches without reading misses edges, and is told how many', async () => {
    const raw = new RawClient(path);
    raw.socket.write('{"op":"watch","id":1,"lines":["button"]}\n');
    expect(await raw.reply()).toEqual({ id: 1, ok: true });
    raw.socket.pause();
    using driver = await SimChipClient.connect(path);
    await driver.request('a test', { button: 0 });
    const changes = 10_000; // some 80 bytes each: more than sockets and server keep
    for (let done = 0; done < changes; done += 100) {
      const sets = Array.from({ length: 100 }, (_, index) => driver.set({ button: index % 2 === 0 ? 1 : 0 }));
      await Promise.all(sets);
    }
    raw.socket.resume();
    raw.socket.write('{"op":"get","id":2,"lines":["led"]}\n');
    // The answer comes behind every edge that waits; then there is room for two more, and for the count.
    let told = 0;
    let lost = 0;
    for (let message = await raw.reply(); message.id !== 2; message = await raw.reply()) told++;
    await driver.release(['button']);
    await driver.request('a test', { button: 0 });
    for (; told + lost < changes + 3; told++) lost += (await raw.reply()).lost ?? 0;
    expect(told + lost).toBe(changes + 3);
    expect(lost).toBeGreaterThan(0);
    raw.socket.destroy();
  });
});

test('a client is told when its chip goes away', async () => {
  const second = `${path}2`;
  const shortLived = await serveSimChip(board, second);
  using client = await SimChipClient.connect(second);
  await client.info();
  const gone = once(client.ended, 'abort');
  await shortLived[Symbol.asyncDispose]();
  await gone;
  await expect(client.info()).rejects.toMatchObject({
    blame: 'unavailable',
    message: `${second}: the chip has gone`,
  });
});

test('a chip that takes what it is asked and stays silent is told', async () => {
  const silent = createServer();
  await new Promise<void>((resolve) => {
    silent.listen(`${path}3`, resolve);
  });
  const accepted = once(silent, 'connection') as Promise<[Socket]>;
  using client = await SimChipClient.connect(`${path}3`, 20);
  await expect(client.info()).rejects.toMatchObject({
    blame: 'unavailable',
    message: `${path}3: expected an answer within 20 ms; is its lab stopped?`,
  });
  (await accepted)[0].destroy();
  silent.close();
});

test('a socket path that is taken is refused', async () => {
  await expect(serveSimChip(board, path)).rejects.toMatchObject({ blame: 'config' });
});

/** Speaks lines without knowing what they mean. */
class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  readonly #lines: string[] = [];
  #rest = '';
  #arrived: () => void = () => {};

  constructor(path: string) {
    this.socket = connect(path);
    this.closed = once(this.socket, 'close');
    this.socket.on('data', (chunk) => {
      const parts = (this.#rest + chunk.toString()).split('\n');
      this.#rest = parts.pop() ?? '';
      this.#lines.push(...parts);
      this.#arrived();
    });
  }

  async reply(): Promise<{ id?: number | null; lost?: number }> {
    while (this.#lines.length === 0) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    return JSON.parse(this.#lines.shift() ?? '') as { id?: number | null; lost?: number };
  }
}
