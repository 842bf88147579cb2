import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readProcess } from '../../src/base/process-table.ts';
import { Bench } from '../peers/bench.ts';
import { until } from '../until.ts';

/** A daemon with a name of its own: a copy of sleep. Its pid is in the file. */
function daemonOf(bench: Bench, name: string): { readonly program: string; readonly pid: () => number } {
  const program = bench.file(name);
  copyFileSync('/bin/sleep', program);
  const pid = (): number => Number(readFileSync(`${program}.pid`, 'utf8'));
  onTestFinished(() => {
    if (existsSync(`${program}.pid`) && readProcess(pid())?.name === name.slice(0, 15)) process.kill(pid());
  });
  return { program, pid };
}

/** Starts it the way daemons start, in a session of its own, left by its parent; comes back once it has its name. */
const start = (program: string): string =>
  `(setsid ${program} 1000 > /dev/null 2>&1 < /dev/null & echo $! > ${program}.pid; ` +
  `until [ $(cat /proc/$!/comm) = ${basename(program)} ]; do sleep 0.01; done)`;

const lives = (pid: number): boolean => !['Z', undefined].includes(readProcess(pid)?.state);

test.each([
  ['its name', 'adb-like'],
  ['a pattern', 'adb*'],
  ['a pattern of single characters', '???-like'],
])('--keep-daemons with %s leaves that daemon running, and no other', async (_what, pattern) => {
  await using bench = new Bench();
  const kept = daemonOf(bench, 'adb-like');
  const ended = daemonOf(bench, 'other');
  const script = `${start(kept.program)}; ${start(ended.program)}`;
  const run = await bench.run([
    '-v',
    '--keep-daemons',
    'x',
    '--keep-daemons',
    pattern,
    'uno',
    'sh',
    '-c',
    script,
  ]);
  expect(run.status).toBe(0);
  expect(run.stderr).toContain(
    `sai-device: left running, as --keep-daemons says: process ${kept.pid()} (${kept.program} 1000)\n`,
  );
  expect([lives(kept.pid()), lives(ended.pid())]).toEqual([true, false]);
  // It holds nothing of the lease: the device is free at once, and --list names what was left.
  expect(await bench.run(['--no-wait', 'uno', 'true'])).toMatchObject({ status: 0 });
  process.kill(kept.pid());
});

test('without it, or with another name, nothing is left', async () => {
  await using bench = new Bench();
  const daemon = daemonOf(bench, 'adb-like');
  const run = await bench.run(['-v', '--keep-daemons', 'adb', 'uno', 'sh', '-c', start(daemon.program)]);
  expect(run.status).toBe(0);
  expect(run.stderr).not.toContain('left running');
  expect(lives(daemon.pid())).toBe(false);
});

test('the command itself is ended when told to stop, whatever its name is', async () => {
  await using bench = new Bench();
  const { program } = daemonOf(bench, 'adb-like');
  const args = ['--keep-daemons', '*', 'uno', 'sh', '-c', `echo up; exec ${program} 1000`];
  const started = bench.start(args);
  await started.prints(/up/);
  started.kill('SIGTERM');
  expect((await started.ended).status).toBe(143);
});

test('when sai-device is killed, the same daemons are left, and the rest of the command is not', async () => {
  await using bench = new Bench();
  const kept = daemonOf(bench, 'adb-like');
  const ended = daemonOf(bench, 'other');
  const command = `${start(kept.program)}; ${start(ended.program)}; trap 'echo told' USR1; echo up $$; while :; do sleep 1000 & wait; done`;
  const holder = bench.start(['--keep-daemons', 'adb-like', 'uno', 'sh', '-c', command]);
  await holder.prints(/up \d+\n/);
  // What passes a signal on has told the guard which process is the command; before that nothing counts as a daemon.
  holder.kill('SIGUSR1');
  await holder.prints(/told/);
  holder.kill('SIGKILL');
  const pid = Number(/up (\d+)/.exec((await holder.ended).stdout)?.[1]);
  expect(await bench.run(['uno', 'true'])).toMatchObject({ status: 0 }); // the guard has let go
  expect([lives(kept.pid()), lives(ended.pid()), lives(pid)]).toEqual([true, false, false]);
  process.kill(kept.pid());
});

test('when sai-device is killed, also a command that bears the name is ended', async () => {
  await using bench = new Bench();
  const { program } = daemonOf(bench, 'adb-like');
  const holder = bench.start([
    '--keep-daemons',
    'adb-like',
    'uno',
    'sh',
    '-c',
    `echo up $$; exec ${program} 1000`,
  ]);
  await holder.prints(/up \d+\n/);
  holder.kill('SIGKILL');
  const commandPid = Number(/up (\d+)/.exec((await holder.ended).stdout)?.[1]);
  await until(() => !lives(commandPid), 'the guard has ended the command');
  expect(await bench.run(['uno', 'true'])).toMatchObject({ status: 0 });
});

describe('what can be no name of a program', () => {
  test.each(['', 'usr/bin/adb'])('%j is refused (64)', async (pattern) => {
    await using bench = new Bench();
    expect(await bench.run(['--keep-daemons', pattern, 'uno', 'true'])).toMatchObject({
      status: 64,
      stderr: `sai-device: --keep-daemons: expected the name of a program such as adb or 'ccache*', got ${JSON.stringify(pattern)}\n`,
    });
  });
});
