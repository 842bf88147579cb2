import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readProcess } from '../../src/base/process-table.ts';
import { openRunDir, type RunDir } from '../../src/device/run-dir.ts';
import { changeState, type DeviceState, readState, stateFilePath } from '../../src/device/state.ts';
import { Bench } from '../peers/bench.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { reachableSaiDevice } from '../peers/reachable-commands.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

const WRITERS = 20;

/** Twenty starts on a busy machine, or the time after which a dead writer's turn is over. */
const PATIENCE_MS = 60_000;

const PATIENT = { patienceMs: 10_000 };

function runDirAt(path: string): RunDir {
  const { runDir } = openRunDir({ configured: path, ttyGid: undefined, force: false });
  if (!runDir) throw new Error('a configured folder is used, or refused by throwing');
  return runDir;
}

const addLease = (before: DeviceState): DeviceState => ({
  ...before,
  fence: before.fence + 1,
  leases: [...before.leases, { durationMs: 1, fence: before.fence + 1 }],
});

/** What the folder of the state holds: nothing that a writer leaves behind belongs there. */
const filesOf = (bench: Bench): string[] => readdirSync(join(bench.runDir, 'state')).sort();

const quarantinedOn = (bench: Bench): string[] =>
  [...readState(runDirAt(bench.runDir)).devices]
    .filter(([, { quarantine }]) => quarantine)
    .map(([name]) => name);

test(`${WRITERS} processes that write at once lose nothing`, { timeout: PATIENCE_MS }, async () => {
  const bench = new Bench(...Array.from({ length: WRITERS }, () => ({})));
  await using _bench = bench;
  const names = Array.from({ length: WRITERS }, (_, index) => `uno${index + 1}`);
  const runs = names.map((name) => bench.start(['--quarantine', name, '--reason', `of ${name}`]));
  const ended = await Promise.all(runs.map((run) => run.ended));
  expect(ended.map(({ status, stdout, stderr }) => ({ status, stdout, stderr }))).toEqual(
    names.map((name) => ({
      status: 0,
      stdout: '',
      stderr: expect.stringMatching(`^sai-device: ${name}: quarantined by \\S+ since .*: of ${name} \\(`),
    })),
  );
  expect(quarantinedOn(bench)).toEqual(names.sort());
  expect(filesOf(bench)).toEqual(['state.json']);
});

test('many writers in one process lose nothing, and readers never see half a file', async () => {
  const runDir = runDirAt(join(tempFolder(), 'run'));
  const damages: (string | undefined)[] = [];
  const reader = setInterval(() => damages.push(readState(runDir).damage), 1);
  await Promise.all(Array.from({ length: 30 }, () => changeState(runDir, 'uno1', addLease, PATIENT)));
  clearInterval(reader);
  expect(
    readState(runDir)
      .devices.get('uno1')
      ?.leases.map(({ fence }) => fence),
  ).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  expect(damages.filter((damage) => damage !== undefined)).toEqual([]);
});

/** Ends or stops the process that loads it, at the first call of `name` for a path that matches. */
const AT_CALL = `
const fs = require('node:fs');
const [name, pattern, signal] = process.env.AT_CALL.split(' ');
const original = fs[name];
fs[name] = (path, ...rest) => {
  if (new RegExp(pattern).test(String(path))) {
    fs[name] = original;
    process.kill(process.pid, signal);
  }
  return original(path, ...rest);
};
`;

/** A writer that comes to its end, or a stop, there. */
function writerThat(bench: Bench, signal: 'SIGKILL' | 'SIGSTOP', call: string): ReturnType<Bench['start']> {
  const preload = bench.file('at-call.cjs');
  writeFileSync(preload, AT_CALL);
  const env = { NODE_OPTIONS: `--require ${preload}`, AT_CALL: `${call} ${signal}` };
  return bench.start(['--quarantine', 'uno1', '--reason', 'worn out'], env);
}

const POINTS: readonly (readonly [string, string])[] = [
  ['before it has made its own file', 'openSync /next-'],
  ['before it removes those of others', 'readdirSync /state$'],
  ['before it has read', 'openSync /state\\.json$'],
  ['before it puts its file in place', 'renameSync /next-'],
];

describe.concurrent.each(POINTS)('a writer that has its turn, %s,', (_when, call) => {
  test('and is killed, holds nobody up for long, and leaves nothing', { timeout: PATIENCE_MS }, async () => {
    await using bench = new Bench({}, {});
    const killed = writerThat(bench, 'SIGKILL', call);
    expect(await killed.ended).toMatchObject({ status: null, signal: 'SIGKILL' });
    expect(filesOf(bench)).toContain('lock');
    expect((await bench.run(['--quarantine', 'uno2', '--reason', 'burnt'])).status).toBe(0);
    expect(quarantinedOn(bench)).toEqual(['uno2']);
    expect(filesOf(bench)).toEqual(['state.json']);
  });

  test('and is stopped until another has written, overwrites nothing', { timeout: PATIENCE_MS }, async () => {
    await using bench = new Bench({}, {});
    const stopped = writerThat(bench, 'SIGSTOP', call);
    await until(() => readProcess(stopped.pid)?.state === 'T', 'it is stopped');
    expect((await bench.run(['--quarantine', 'uno2', '--reason', 'burnt'])).status).toBe(0);
    expect(quarantinedOn(bench)).toEqual(['uno2']);
    stopped.kill('SIGCONT');
    expect((await stopped.ended).status).toBe(0);
    expect(quarantinedOn(bench)).toEqual(['uno1', 'uno2']);
    expect(filesOf(bench)).toEqual(['state.json']);
  });
});

test('a turn that was taken before the clock was set back holds nobody up', async () => {
  const runDir = runDirAt(join(tempFolder(), 'run'));
  await changeState(runDir, 'uno1', addLease, PATIENT);
  const lock = join(runDir.state, 'lock');
  mkdirSync(lock);
  const tomorrow = Date.now() / 1000 + 86_400;
  utimesSync(lock, tomorrow, tomorrow);
  await changeState(runDir, 'uno1', addLease, { patienceMs: 1000 });
  expect(readState(runDir).devices.get('uno1')?.fence).toBe(2);
});

test('who has no patience is told that others write', async () => {
  const runDir = runDirAt(join(tempFolder(), 'run'));
  await changeState(runDir, 'uno1', addLease, PATIENT);
  mkdirSync(join(runDir.state, 'lock'));
  await expect(changeState(runDir, 'uno1', addLease, { patienceMs: 50 })).rejects.toMatchObject({
    blame: 'unavailable',
    message: `${stateFilePath(runDir)}: cannot be written: others wrote all the time; try again`,
  });
});

describe('a file that is damaged', () => {
  test.each([
    ['not JSON', (path: string) => writeFileSync(path, '{"version":1,'), 'expected JSON: '],
    ['empty', (path: string) => writeFileSync(path, ''), 'expected JSON: '],
    [
      'of another version',
      (path: string) => writeFileSync(path, '{"version":2,"devices":{}}'),
      'version: expected 1, got 2',
    ],
    [
      'wrong inside',
      (path: string) => writeFileSync(path, '{"version":1,"devices":{"uno1":{"fence":"x","leases":[]}}}'),
      'devices.uno1: fence: expected number, got "x"',
    ],
    ['a link', (path: string) => symlinkSync('/etc/passwd', path), 'ELOOP'],
    ['a folder', (path: string) => mkdirSync(path), 'expected a file'],
  ])(
    'because it is %s, is named, counts as empty, and is kept beside the new one',
    async (_why, make, reason) => {
      const runDir = runDirAt(join(tempFolder(), 'run'));
      const path = stateFilePath(runDir);
      mkdirSync(runDir.state);
      make(path);
      const { devices, damage } = readState(runDir);
      expect([...devices]).toEqual([]);
      expect(damage).toContain(path);
      expect(damage).toContain(reason);
      expect(damage).toMatch(/; taken for empty: set quarantines again$/);
      await changeState(runDir, 'uno1', addLease, PATIENT);
      expect(readState(runDir)).toEqual({
        devices: new Map([['uno1', expect.anything()]]),
        damage: undefined,
      });
      expect(readdirSync(runDir.state).sort()).toEqual(['damaged.json', 'state.json']);
      expect(existsSync('/etc/passwd')).toBe(true);
    },
  );

  test('keeps nobody from a device, and one line says what is lost', async () => {
    await using bench = new Bench();
    await bench.run(['uno', 'true']);
    const path = join(bench.runDir, 'state', 'state.json');
    writeFileSync(path, 'gone with the wind');
    const { status, stderr } = await bench.run(['uno', 'true']);
    expect(status).toBe(0);
    expect(stderr).toMatch(
      new RegExp(`^sai-device: ${path}: expected JSON: .*; taken for empty: set quarantines again\n$`),
    );
    expect(readFileSync(join(bench.runDir, 'state', 'damaged.json'), 'utf8')).toBe('gone with the wind');
    expect(await bench.run(['uno', 'true'])).toMatchObject({ status: 0, stderr: '' });
  });
});

test.each(['constructor', '__proto__', 'toString'])('a device may be called %s', async (name) => {
  const runDir = runDirAt(join(tempFolder(), 'run'));
  expect(readState(runDir).devices.get(name)).toBeUndefined();
  await changeState(runDir, name, addLease, PATIENT);
  await changeState(runDir, 'uno1', addLease, PATIENT);
  expect([...readState(runDir).devices.keys()].sort()).toEqual([name, 'uno1'].sort());
});

test('it stays small: of more devices than a host has, those used longest ago are forgotten, quarantines never', async () => {
  const runDir = runDirAt(join(tempFolder(), 'run'));
  const devices = Array.from({ length: 600 }, (_, index) => [`uno${index}`, { fence: index, leases: [] }]);
  const quarantine = { reason: 'burnt', by: 'ann', atMs: 1 };
  const first = ['uno-q', { fence: 0, leases: [], quarantine }];
  mkdirSync(runDir.state);
  writeFileSync(
    stateFilePath(runDir),
    JSON.stringify({ version: 1, devices: Object.fromEntries([first, ...devices]) }),
  );
  await changeState(runDir, 'uno599', addLease, PATIENT);
  const kept = readState(runDir).devices;
  expect(kept.size).toBe(200);
  expect(kept.get('uno-q')?.quarantine).toEqual(quarantine);
  expect(kept.has('uno400')).toBe(false);
  expect(kept.get('uno599')?.fence).toBe(600);
});

test('users of one group write after each other, whatever their umask, also after one who was killed', {
  timeout: PATIENCE_MS,
}, async (context) => {
  needsRoot(context, 'to become two other users');
  needsProgram(context, 'setpriv');
  await using bench = new Bench({}, {});
  chmodSync(bench.folder, 0o755);
  mkdirSync(bench.runDir);
  chownSync(bench.runDir, 0, 20);
  chmodSync(bench.runDir, 0o3775);
  const sai = reachableSaiDevice();
  const run = (uid: number, args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const as = [`--reuid=${uid}`, `--regid=${uid}`, '--groups=20', 'sh', '-c', 'umask 077; exec "$@"', 'sh'];
    const { status, signal, stderr } = spawnSync('setpriv', [...as, process.execPath, sai, ...args], {
      env: { ...bench.env, ...env },
      encoding: 'utf8',
    });
    return { status, signal, stderr };
  };
  const preload = bench.file('at-call.cjs');
  writeFileSync(preload, AT_CALL);
  const atCall = { NODE_OPTIONS: `--require ${preload}`, AT_CALL: 'renameSync /next- SIGKILL' };
  const done = { status: 0, signal: null };
  expect(run(4001, ['--quarantine', 'uno1', '--reason', 'a'])).toMatchObject(done);
  expect(run(4001, ['--quarantine', 'uno2', '--reason', 'b'], atCall)).toMatchObject({ signal: 'SIGKILL' });
  expect(run(4002, ['--quarantine', 'uno2', '--reason', 'c'])).toMatchObject(done);
  expect(run(4002, ['--release', 'uno1'])).toMatchObject(done);
  expect(run(4001, ['--release', 'uno1'])).toMatchObject({
    ...done,
    stderr: 'sai-device: uno1: was not quarantined\n',
  });
  const state = readState(runDirAt(bench.runDir));
  expect(state.devices.get('uno2')?.quarantine).toMatchObject({ reason: 'c', by: '4002' });
  expect(filesOf(bench)).toEqual(['state.json']);
  const { mode, gid } = statSync(join(bench.runDir, 'state', 'state.json'));
  expect({ mode: mode & 0o777, gid }).toEqual({ mode: 0o664, gid: 20 });
});
