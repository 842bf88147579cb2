import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Bench } from '../peers/bench.ts';

/** Ends when its input does. */
const HOLD = ['sh', '-c', 'echo up; exec cat'];

const QUARANTINE = ['--quarantine', 'uno1', '--reason', 'flashes\nbadly'];
/** What everybody is told, wherever the device is named. */
const QUARANTINED =
  'quarantined by \\S+ since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d: flashes badly \\(sai-device --release uno1 ends that\\)';

test('a device in quarantine is skipped, and given again after its release', async () => {
  await using bench = new Bench({}, {});
  const name = async (): Promise<string> => {
    return (await bench.run(['uno', 'sh', '-c', 'echo $SAI_DEVICE_NAME'])).stdout.trim();
  };
  expect(await bench.run(QUARANTINE)).toMatchObject({
    status: 0,
    stdout: '',
    stderr: expect.stringMatching(`^sai-device: uno1: ${QUARANTINED}\n$`),
  });
  expect([await name(), await name()]).toEqual(['uno2', 'uno2']);
  expect(await bench.run(['--release', 'uno1'])).toMatchObject({
    status: 0,
    stdout: '',
    stderr: expect.stringMatching(
      /^sai-device: uno1: no longer quarantined \(it was, by \S+: flashes badly\)\n$/,
    ),
  });
  expect(await name()).toBe('uno1');
});

test('what is so already is said, and is no failure', async () => {
  await using bench = new Bench();
  expect(await bench.run(['--release', 'uno1'])).toMatchObject({
    status: 0,
    stderr: 'sai-device: uno1: was not quarantined\n',
  });
  await bench.run(QUARANTINE);
  expect(await bench.run(['--quarantine', 'uno1', '--reason', 'another'])).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(`^sai-device: uno1: already ${QUARANTINED}\n$`),
  });
});

test('who will not wait is told why, with status 75', async () => {
  await using bench = new Bench();
  await bench.run(QUARANTINE);
  expect(await bench.run(['--no-wait', 'uno', 'true'])).toMatchObject({
    status: 75,
    stderr: expect.stringMatching(`^sai-device: no free device of type uno: uno1 is ${QUARANTINED}\n$`),
  });
});

test('who waits is told why, and has the device as soon as it is released', async () => {
  await using bench = new Bench();
  await bench.run(QUARANTINE);
  const waiter = bench.start(['uno', 'echo', 'got it']);
  await waiter.says(new RegExp(`position 1: uno1 is ${QUARANTINED}\n`));
  await bench.run(['--release', 'uno1']);
  expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'got it\n' });
});

test('a lease that runs is not disturbed, and whoever waits for its end hears that it will not do', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const waiter = bench.start(['uno', 'true']);
  await waiter.says(/position 1: uno1 is held by/);
  await bench.run(QUARANTINE);
  const listed = await bench.run(['--list']);
  expect(listed.stdout).toMatch(new RegExp(`^uno1 is held by pid ${holder.pid} .*; ${QUARANTINED}; next`));
  holder.closeInput();
  expect((await holder.ended).status).toBe(0);
  await waiter.says(new RegExp(`position 1: uno1 is ${QUARANTINED}\n`));
  await bench.run(['--release', 'uno1']);
  expect((await waiter.ended).status).toBe(0);
});

test('--list shows who took it out, why and since when', async () => {
  await using bench = new Bench({}, {});
  const beforeMs = Date.now();
  await bench.run(QUARANTINE);
  const lines = (await bench.run(['--list', '--json'])).stdout.trim().split('\n');
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    name: 'uno1',
    type: 'uno',
    state: 'quarantined',
    ttys: [bench.board.ttyPath],
    quarantine: { reason: 'flashes badly', by: expect.any(String), atMs: expect.any(Number) },
  });
  expect(JSON.parse(lines[0] ?? '').quarantine.atMs).toBeGreaterThanOrEqual(beforeMs);
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ name: 'uno2', state: 'free' });
  expect((await bench.run(['--list'])).stdout).toMatch(
    new RegExp(`^uno1 is ${QUARANTINED} \\[uno\\]\nuno2 is free \\[uno\\]\n$`),
  );
});

test('where no folder is shared there is nothing to keep a quarantine in (69)', async (context) => {
  context.skip(existsSync('/run/sai'), 'needs a machine without /run/sai');
  await using bench = new Bench({ ttys: ['/dev/no-such-tty'] }); // whose group would name another folder
  expect(await bench.run(QUARANTINE, { SAI_RUN_DIR: '' })).toMatchObject({
    status: 69,
    stdout: '',
    stderr:
      'sai-device: no shared run folder to keep a quarantine in (/run/sai: no such folder); ' +
      'have root make /run/sai, mode 3775, for the group of the ttys\n',
  });
});

describe('what cannot be done is refused in one line', () => {
  test.each([
    [
      ['--quarantine', 'uno11', '--reason', 'x'],
      78,
      'unknown device "uno11" \\(did you mean "uno1"\\?\\); names: uno1',
    ],
    [['--release', 'due'], 78, 'unknown device "due"; names: uno1'],
    [['--quarantine', 'uno1'], 64, '--quarantine: expected --reason TEXT, .*; see sai-device --help'],
    [
      ['--quarantine', 'uno1', '--reason', '  '],
      64,
      '--quarantine: expected --reason TEXT, .*; see sai-device --help',
    ],
    [
      ['--reason', 'x', 'uno', 'true'],
      64,
      '--reason: expected together with --quarantine; see sai-device --help',
    ],
    [
      ['--release', 'uno1', 'uno', 'true'],
      64,
      '--release: expected one name and no command, got "uno"; see sai-device --help',
    ],
    [
      ['--release', 'uno1', '--list'],
      64,
      'expected one of --list and --release, got both; see sai-device --help',
    ],
    [
      ['--json', '--release', 'uno1'],
      64,
      '--json: expected together with --list, --watch, --check, --scan or --doctor; see sai-device --help',
    ],
  ])('%j', async (args, status, text) => {
    await using bench = new Bench();
    const findings = bench.file('findings');
    expect(await bench.run(args, { SAI_FINDINGS: findings })).toMatchObject({
      status,
      stdout: '',
      stderr: expect.stringMatching(`^sai-device: ${text}\n$`),
    });
    expect(JSON.parse(readFileSync(findings, 'utf8'))).toMatchObject({ tool: 'sai-device' });
  });
});
