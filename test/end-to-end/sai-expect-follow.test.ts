/** The built `sai-expect` on boards whose tty goes away with a reset, as those with USB of their own. */

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTtySettings } from '../../src/native/termios.ts';
import { Bench, type BenchDevice } from '../peers/bench.ts';
import { said, Workplace } from '../peers/expect-command.ts';
import { findingsIn } from '../peers/onlookers.ts';
import { Port } from '../peers/port.ts';
import { ROOT } from '../peers/running-lab.ts';

const SAI_EXPECT = join(ROOT, 'bin/sai-expect');

function benchWithPort(device: BenchDevice = {}): { readonly bench: Bench; readonly port: Port } {
  const bench = new Bench();
  const port = new Port(bench.file('port'));
  bench.configure({ devices: [{ name: 'esp', type: 'esp32', ttys: [port.path], ...device }] });
  return { bench, port };
}

test.each([
  ['locks its ttys', {}],
  ['leaves them to tools', { lend: 'always' }],
] as const)('a reset that takes the tty along is no end, under a lease that %s', async (_what, device) => {
  const { bench, port } = benchWithPort(device);
  await using _bench = bench;
  using _port = port;
  const findings = bench.file('findings');
  const steps = [
    '--baud',
    '9600',
    '--expect',
    'going',
    '--expect',
    'booted',
    '--line',
    'go',
    '--expect',
    'gone',
  ];
  const run = bench.start(['esp32', SAI_EXPECT, '-v', ...steps], { SAI_FINDINGS: findings });
  await run.says(/--expect "going"/);
  port.say('going');
  await run.says(/--expect "booted"/);
  port.unplug();
  await run.says(/the tty went away/);
  port.plugIn();
  port.say('booted');
  await run.says(/--expect "gone"/);
  expect(port.heard()).toBe('go\n');
  expect(readTtySettings(port.board.ttyFd)).toMatchObject({ baudRate: 9600, raw: true, echo: false });
  port.say('gone');
  expect(await run.ended).toMatchObject({ status: 0 });
  expect(findingsIn(findings)).toEqual([]);
});

test('a tty that is away when the command starts is waited for', async () => {
  await using place = new Workplace();
  using port = new Port(join(place.folder, 'port'));
  place.leaseOf([port.path], { reappearMs: 10_000 });
  port.unplug();
  const started = place.start(['-v', '--expect', 'ready']);
  await said(started, 'found nothing at this path');
  port.plugIn();
  port.say('ready');
  expect(await started.ended).toMatchObject({ status: 0 });
});

test.each([
  ['in its time', [], 'the tty went away \\(.*\\), and was not back within 200 ms while waiting for "x"'],
  ['before the deadline', ['--timeout', '1s'], 'expected "x" within 1 s, but its tty is away'],
  ['at all, as asked', ['--no-follow'], 'the tty went away \\([^)]*\\) while waiting for "x"'],
])('one that does not come back %s is the fault of the rig', async (_what, flags, message) => {
  await using place = new Workplace();
  using port = new Port(join(place.folder, 'port'));
  place.leaseOf([port.path], { reappearMs: flags.length === 0 ? 200 : 60_000 });
  const recording = join(place.folder, 'rec');
  const started = place.start(['-v', '--expect', 'x', ...flags, '--record', recording]);
  await said(started, '--expect "x"');
  port.unplug();
  const { status, stderr } = await started.ended;
  expect(status).toBe(74);
  expect(stderr.at(-1)).toMatch(
    new RegExp(`^sai-expect: tty0 \\(${port.path}\\): ${message}; nothing arrived$`),
  );
  expect(place.findings).toMatchObject([{ verdict: 'infra', blame: 'hardware' }]);
  const replayed = await place.run('--expect', 'x', ...flags, '--replay', recording);
  expect(replayed).toMatchObject({ status: 74, stderr: [stderr.at(-1)] });
});

test('one that is away from the start to the deadline is the fault of the rig', async () => {
  await using place = new Workplace();
  const path = join(place.folder, 'port');
  place.leaseOf([path], { reappearMs: 60_000 });
  const args = ['--expect', 'x', '--timeout', '300ms'];
  const recording = join(place.folder, 'rec');
  expect(await place.run(...args, '--record', recording)).toMatchObject({
    status: 74,
    stderr: [
      `sai-expect: tty0 (${path}): expected its tty to come back, it is away (time is up after 300 ms)`,
    ],
  });
  expect(await place.run(...args, '--replay', recording)).toMatchObject({ status: 74 });
});

test('a tty that was away is so again in a recording of it, and no longer when it is back', async () => {
  await using place = new Workplace();
  using port = new Port(join(place.folder, 'port'));
  place.leaseOf([port.path], { reappearMs: 60_000 });
  const recording = join(place.folder, 'rec');
  const started = place.start(['-v', '--expect', 'ready', '--record', recording]);
  await said(started, '--expect "ready"');
  port.unplug();
  await said(started, 'went away');
  port.plugIn();
  await said(started, 'is back');
  port.say('ready');
  expect(await started.ended).toMatchObject({ status: 0 });
  const replay = (text: string) => place.run('--expect', text, '--timeout', '5m', '--replay', recording);
  expect(await replay('ready')).toMatchObject({ status: 0 });
  expect(await replay('never')).toMatchObject({ status: 1 });
});

test('a command that is told to stop while the tty is away stops', async () => {
  await using place = new Workplace();
  using port = new Port(join(place.folder, 'port'));
  place.leaseOf([port.path], { reappearMs: 60_000 });
  const started = place.start(['-v', '--expect', 'x']);
  await said(started, '--expect "x"');
  port.unplug();
  await said(started, 'went away');
  started.child.kill('SIGTERM');
  expect(await started.ended).toMatchObject({ status: 143 });
});
