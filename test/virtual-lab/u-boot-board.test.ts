import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readProcessTable, withDescendants } from '../../src/base/process-table.ts';
import { startUBootBoard } from '../../src/virtual-lab/u-boot-board.ts';
import { whyNoBoard } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';
import { boardContract } from './board-contract.ts';
import { TtyUser } from './tty-user.ts';

const PROMPT = '\r\n=> ';
const missing = whyNoBoard('u-boot');

async function reachPrompt(user: TtyUser): Promise<string> {
  const banner = await user.until('Hit any key to stop autoboot');
  user.type(' ');
  return banner + (await user.until(PROMPT));
}

describe('U-Boot', () => {
  if (missing !== undefined) {
    test('is a board of the lab', ({ skip }) => skip(missing));
    return;
  }

  boardContract({
    start: startUBootBoard,
    bootText: () => /^\r\n\r\nU-Boot 20.* 2 [\b 01]*\r\n=> $/s,
    reachPrompt,
    prompt: PROMPT,
    sayHello: 'echo hello',
    withoutPower: 'ttys go',
  });

  test('stands still while nobody uses it, and runs for whoever has its tty open', async () => {
    const place = { name: 'dut', dir: tempFolder(), env: process.env };
    await using board = await startUBootBoard(place, { quietMs: 100 });
    const tty = board.ttys[0] ?? '';
    {
      using _reader = silentReader(tty);
      await using user = new TtyUser(tty);
      await reachPrompt(user);
      // Far longer than it runs on when nobody uses it.
      user.type('sleep 1; echo sl""ept\r');
      await user.until('\r\nslept');
    }
    await standsStill();
    using _reader = silentReader(tty);
    await runs();
    await using user = new TtyUser(tty);
    user.type('echo hello\r');
    await user.until(`\r\nhello${PROMPT}`);
  });

  test('turns itself off, and runs again from its next reset', async () => {
    await using board = await startUBootBoard({ name: 'dut', dir: tempFolder(), env: process.env });
    await using user = new TtyUser(board.ttys[0] ?? '');
    await reachPrompt(user);
    user.type('poweroff\r');
    await user.until('poweroff ...');
    await standsStill();
    user.type('echo nobody hears\r');
    await board.reset();
    await reachPrompt(user);
    user.type('echo heard\r');
    expect(await user.until(PROMPT)).toBe(`echo heard\r\nheard${PROMPT}`);
  });

  test('stands still until its reset line is driven', async () => {
    const place = { name: 'dut', dir: tempFolder(), env: process.env };
    await using board = await startUBootBoard(place, { quietMs: 100 });
    await standsStill();
    await board.reset();
    await runs();
  });
});

/** Another process that has the tty open, takes no lock and says nothing. */
function silentReader(tty: string): Disposable {
  const fd = openSync(tty, constants.O_RDWR | constants.O_NOCTTY);
  const child = spawn('sleep', ['60'], { stdio: [fd, 'ignore', 'ignore'] });
  closeSync(fd);
  return { [Symbol.dispose]: () => child.kill() };
}

/** Resolves once twenty looks in a row have seen no tick: while it runs, it uses half of them. */
async function standsStill(): Promise<void> {
  const ticks = ticksOfQemu();
  let last = ticks();
  let looks = 0;
  await until(() => {
    const now = ticks();
    looks = now === last ? looks + 1 : 0;
    last = now;
    return looks === 20;
  }, 'it stands still');
}

async function runs(): Promise<void> {
  const ticks = ticksOfQemu();
  const before = ticks();
  await until(() => ticks() > before, 'it runs');
}

/** Clock ticks that the emulator has used so far. Source: proc(5), /proc/pid/stat, utime and stime. */
function ticksOfQemu(): () => number {
  const emulator = withDescendants(readProcessTable(), [process.pid]).find(({ name }) =>
    name.startsWith('qemu'),
  );
  return () => {
    const stat = readFileSync(`/proc/${emulator?.pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
}
