import { expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { BoardConsole } from '../../src/expect/board-console.ts';
import { NoUnreadBytes } from '../../src/expect/unread-bytes.ts';
import { countingConsole } from '../peers/counting-console.ts';

test('silence on a tty that lost bytes is blamed on the rig, and the loss is told in the end', async () => {
  const losses: RigError[] = [];
  const board = new BoardConsole({
    console: countingConsole('o', 2),
    unread: new NoUnreadBytes(),
    pass: [],
    fail: [],
    crash: [],
    escapeSequences: 'seen',
    runJig: async () => undefined,
    onBytes: () => {},
    logGapBytes: () => 0,
    onLoss: (loss) => losses.push(loss),
  });
  const choice = [{ pattern: { kind: 'literal', bytes: Buffer.from('ok') }, shown: '"ok"' }] as const;
  await expect(board.expect(choice, { timeoutMs: 20, signal: undefined })).rejects.toMatchObject({
    blame: 'hardware',
    message: 'tty0: expected "ok" within 20 ms, but 1 byte read, at least 2 bytes lost; last lines:\n  | o',
  });
  expect(losses).toEqual([]);
  await board[Symbol.asyncDispose]();
  expect(losses).toEqual([
    new RigError(
      'hardware',
      'tty0: the kernel lost bytes 2 times, as nobody took them in time; lower the load or the speed',
    ),
  ]);
});
