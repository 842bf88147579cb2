import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { startLinuxBoard } from '../../src/virtual-lab/linux-board.ts';
import { whyNoBoard } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';
import { TtyUser } from './tty-user.ts';

const missing = whyNoBoard('linux');

// The whole contract would take a minute of booting; what is the same for all boards in QEMU, the others hold to it.
describe('Linux', () => {
  if (missing !== undefined) {
    test('is a board of the lab', ({ skip }) => skip(missing));
    return;
  }

  test('has a login on each of its ttys, which go and come with the power', { timeout: 90_000 }, async () => {
    await using board = await startLinuxBoard({ name: 'dut', dir: tempFolder(), env: process.env });
    const [first = '', second = ''] = board.ttys;
    expect(board.ttys).toHaveLength(2);
    {
      await using users = await loginsOn(first, second);
      await board.setPower('off');
      await users.hungUp;
      expect([existsSync(first), existsSync(second)]).toEqual([false, false]);
    }
    await board.setPower('on');
    await using again = await loginsOn(first, second);
    expect(again.bootText).toMatch(/^\[ +0\.000000\] Booting Linux .*\r\nsai-linux login: $/s);
    expect(board.lostBytes).toBe(0);
  });
});

/** Somebody at each tty, both of which have asked for a name. */
async function loginsOn(
  first: string,
  second: string,
): Promise<AsyncDisposable & { readonly bootText: string; readonly hungUp: Promise<unknown> }> {
  const users = [new TtyUser(first, 40_000), new TtyUser(second, 40_000)] as const;
  const [bootText] = await Promise.all(users.map((user) => user.until('login: ')));
  return {
    bootText: bootText ?? '',
    hungUp: Promise.all(users.map(({ hungUp }) => hungUp)),
    [Symbol.asyncDispose]: async () => {
      for (const user of users) await user[Symbol.asyncDispose]();
    },
  };
}
