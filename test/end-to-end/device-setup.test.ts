import { readFileSync, writeFileSync } from 'node:fs';
import { expect, type TestContext, test } from 'vitest';
import { Bench, type Ended } from '../peers/bench.ts';
import { CH340, FakeHost, UNO } from '../peers/fake-host.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';

test('--check takes a good config in one line on stdout, and gives advice on stderr', async () => {
  await using bench = new Bench({}, { ttys: ['/dev/no-such-tty'] });
  expect(await bench.run(['--check'])).toEqual({
    status: 0,
    signal: null,
    stdout: `${bench.config}: 2 devices, 2 ttys: ok\n`,
    stderr: `sai-device: advice: ${bench.config}: devices.1.ttys.0: /dev/no-such-tty is not there now\n`,
  });
  expect(await bench.run(['--quiet', '--check'])).toMatchObject({ status: 0, stderr: '' });
});

test('--check says all that is wrong (78), a line each, and leaves a finding', async () => {
  await using bench = new Bench();
  bench.configure({ devices: [{ name: 'a b', type: 'uno', tty: [] }] });
  const findings = bench.file('findings');
  const { status, stdout, stderr } = await bench.run(['--check'], { SAI_FINDINGS: findings });
  const problems = [
    `${bench.config}: devices.0: unknown key "tty" (did you mean "ttys"?)`,
    `${bench.config}: devices.0.name: expected a word without blanks, commas or =, got "a b"`,
  ];
  const summary = `${bench.config}: expected a config without errors, found 2`;
  expect({ status, stdout, stderr: stderr.split('\n') }).toEqual({
    status: 78,
    stdout: '',
    stderr: [...problems, summary].map((line) => `sai-device: ${line}`).concat(''),
  });
  expect(JSON.parse(readFileSync(findings, 'utf8'))).toMatchObject({ blame: 'config', evidence: summary });
  const json = await bench.run(['--check', '--json']);
  expect(jsonLines(json)).toEqual([
    ...problems.map((error) => ({ error })),
    { config: bench.config, ok: false, devices: 0, ttys: 0 },
  ]);
});

/** Runs sai-device where /sys and /dev/serial are those of another host. */
function elsewhere(
  context: TestContext,
  bench: Bench,
  host: FakeHost,
): (...args: string[]) => Promise<Ended> {
  needsRoot(context, 'to put a /sys of its own in the place of the real one');
  needsProgram(context, 'unshare');
  const inside = ['--mount', 'sh', '-c', `mount --bind ${host.root}/sys /sys && exec "$@"`, 'sh'];
  return async (...args) => await bench.start(args, {}, ['unshare', ...inside]).ended;
}

test('--scan prints a config of what is plugged in, which need not be there yet, and --check takes it', async (context) => {
  await using bench = new Bench();
  const host = new FakeHost();
  host.plug(UNO, { name: 'ttyACM0' });
  host.plug(CH340, { name: 'ttyUSB0' });
  const run = elsewhere(context, bench, host);
  const config = bench.file('new.json');
  const { status, stdout, stderr } = await run('--config', config, '--scan');
  expect(status).toBe(0);
  expect(stderr).toContain('sai-device: /dev/ttyACM0: Arduino Uno, ');
  expect(stderr).toMatch(/: any board may have this adapter: write what board it is for type unknown\n/);
  writeFileSync(config, stdout);
  expect(await run('--config', config, '--check')).toMatchObject({
    status: 0,
    stdout: `${config}: 2 devices, 2 ttys: ok\n`,
  });
  const found = jsonLines(await run('--config', bench.file('none'), '--scan', '--json'));
  expect(found.map((each) => (each as { entry: object }).entry)).toEqual(
    (JSON.parse(stdout) as { devices: object[] }).devices,
  );
});

test('--scan on a host without boards says what to do, and prints a config of none', async (context) => {
  await using bench = new Bench();
  const { status, stdout, stderr } = await elsewhere(context, bench, new FakeHost())('--scan');
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: '{\n  "devices": []\n}\n',
    stderr: expect.stringMatching(/^sai-device: no USB tty found: plug a board in, [^\n]+\n$/),
  });
});

test('--doctor finds nothing wrong with a bench, and ends with 74 when a tty is not there', async () => {
  await using bench = new Bench();
  expect(await bench.run(['--doctor'])).toEqual({
    status: 0,
    signal: null,
    stdout: 'no problem found\n',
    stderr: '',
  });
  bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: ['/dev/no-such-tty'] }] });
  const { status, stdout, stderr } = await bench.run(['--doctor']);
  const problem = 'uno1: /dev/no-such-tty: no such tty';
  const cure = 'plug the board in, or correct the config; see --scan';
  expect({ status, stdout, stderr }).toEqual({
    status: 74,
    stdout: `problem: ${problem}; cure: ${cure}\n`,
    stderr: `sai-device: found a problem: ${problem}\n`,
  });
  expect(jsonLines(await bench.run(['--doctor', '--json']))).toEqual([{ blame: 'hardware', problem, cure }]);
});

test('a config that is missing is the worst that --doctor finds (78)', async () => {
  await using bench = new Bench();
  const none = bench.file('none');
  const { status, stdout } = await bench.run(['--config', none, '--doctor'], { SAI_RUN_DIR: 'run' });
  expect({ status, lines: stdout.split('\n').length - 1 }).toEqual({ status: 78, lines: 2 });
  expect(stdout).toContain(`problem: ${none}: expected a config file, found none; cure: write one, `);
});

function jsonLines({ stdout }: Ended): unknown[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}
