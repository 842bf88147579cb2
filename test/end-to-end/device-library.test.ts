import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { acquire, type DeviceLease, type DeviceRequest, RigError } from 'sai-rig/device';
import { expect, test } from 'vitest';
import { readProcessEnvironment, readProcessTable } from '../../src/base/process-table.ts';
import { Bench, guardsOf, SAI_DEVICE } from '../peers/bench.ts';
import { Port } from '../peers/port.ts';
import { until } from '../until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** As many as a night of tests makes, where there is time for it. */
const ROUNDS = process.env['SAI_TEST_REQUIRE'] === 'all' ? 10_000 : 500;

const isLocked = (path: string): boolean => spawnSync('flock', ['-n', path, 'true']).status === 1;

function processesOf(lease: DeviceLease): number[] {
  return readProcessTable()
    .map(({ pid }) => pid)
    .filter((pid) => readProcessEnvironment(pid).includes(`SAI_DEVICE_LEASE=${lease.folder}`));
}

test('a lease tells what was taken, keeps others out, and lets go at the end of its block', async () => {
  await using bench = new Bench({ jig: { url: 'http://pi:44000/', target: 'uno' } });
  let kept: DeviceLease;
  {
    await using lease = await acquire({ type: 'uno', waitMs: 0 }, { env: bench.env });
    kept = lease;
    const { name, type, ttys, jig } = lease;
    expect({ name, type, ttys, jig }).toEqual({
      name: 'uno1',
      type: 'uno',
      ttys: [{ path: bench.board.ttyPath, baudRate: 115_200 }],
      jig: 'http://pi:44000/uno',
    });
    expect(isLocked(bench.board.ttyPath)).toBe(true);
    expect((await bench.run(['--no-wait', 'uno', 'true'])).status).toBe(75);
  }
  expect(isLocked(bench.board.ttyPath)).toBe(false);
  await kept.release();
  expect(() => kept.childEnvironment()).toThrow('uno1: the lease has been released');
  await using next = await acquire({ type: 'uno', waitMs: 0 }, { env: bench.env });
  expect(next.fence).toBeGreaterThan(kept.fence);
  await next.release();
  expect(bench.leftBehind()).toEqual([]);
});

const NRF = { name: 'nrf1', type: 'nrf52' };

test('several devices are taken together, the others told of by role, and all let go together', async () => {
  await using bench = new Bench({ maxLease: '8h' }, NRF);
  const [uno, nrf] = bench.boards;
  const request = { type: 'uno', waitMs: 0, and: { peer: 'nrf52' } };
  const lease = await acquire(request, { env: bench.env });
  expect({ name: lease.name, peers: lease.peers }).toEqual({
    name: 'uno1',
    peers: {
      peer: {
        name: 'nrf1',
        type: 'nrf52',
        ttys: [{ path: nrf?.ttyPath, baudRate: 115_200 }],
        jig: undefined,
      },
    },
  });
  expect(lease.childEnvironment()).toMatchObject({
    SAI_DEVICE_TTY0: uno?.ttyPath,
    SAI_PEER_TTY0: nrf?.ttyPath,
    SAI_PEER_NAME: 'nrf1',
  });
  await expect(acquire({ type: 'nrf52', waitMs: 0 }, { env: bench.env })).rejects.toMatchObject({
    blame: 'busy',
  });
  await expect(acquire(request, { env: bench.env })).rejects.toMatchObject({ blame: 'busy' });
  await lease.release();
  expect(bench.boards.map(({ ttyPath }) => isLocked(ttyPath))).toEqual([false, false]);
  expect(bench.leftBehind()).toEqual([]);
});

test('under a lease of several devices a program joins it for any of them', async () => {
  await using bench = new Bench({}, NRF);
  const program = `import { acquire } from ${JSON.stringify(`${ROOT}dist/device-library.mjs`)};
    const both = await acquire({ type: 'uno', and: { Peer: 'nrf52' } });
    const nrf = await acquire({ type: 'nrf52' });
    const env = nrf.childEnvironment();
    console.log(both.name, both.peers.Peer.name, nrf.name, env.SAI_DEVICE_NAME, env.SAI_DEVICE_TTY0);`;
  const node = [process.execPath, '--input-type=module', '-e', program];
  const { stdout, stderr } = await bench.run(['--and', 'peer=nrf52', 'uno', ...node]);
  expect({ stdout, stderr }).toEqual({
    stdout: `uno1 nrf1 nrf1 nrf1 ${bench.boards[1]?.ttyPath}\n`,
    stderr: '',
  });
});

test.each([
  [
    'a role that means something else',
    { and: { device: 'uno' } },
    /^and: expected a role of your own, got device/,
  ],
  [
    'a role that comes twice',
    { and: { peer: 'uno', PEER: 'uno' } },
    /^and: expected each role once, got PEER/,
  ],
  ['a role without a type', { and: { peer: '' } }, /^and: expected ROLE=TYPE, .* got "peer"$/],
  [
    'a wait that is no number',
    { waitMs: Number.NaN },
    /^acquire: waitMs: expected 0 to \d+ or Infinity, got NaN$/,
  ],
  [
    'a lease longer than a timer',
    { maxLeaseMs: 2 ** 31 },
    /^acquire: maxLeaseMs: expected 0 to \d+ or Infinity, got 2147483648$/,
  ],
] as const)('%s is refused', async (_what, request, message) => {
  await using bench = new Bench();
  await expect(acquire({ type: 'uno', ...request }, { env: bench.env })).rejects.toMatchObject({
    blame: 'usage',
    message: expect.stringMatching(message) as string,
  });
});

test.each([
  [{ timeout: 5 }, /^acquire: unknown key "timeout"$/],
  [{ onwait: () => {} }, /^acquire: unknown key "onwait" \(did you mean "onWait"\?\)$/],
  [{ signal: 5 }, /^acquire: signal: expected an AbortSignal, got 5$/],
])('options that there are not are refused: %j', async (options, message) => {
  await using bench = new Bench();
  await expect(acquire({ type: 'uno' }, { env: bench.env, ...(options as object) })).rejects.toMatchObject({
    blame: 'usage',
    message: expect.stringMatching(message) as string,
  });
});

test.each([
  [{}, /^acquire: type: expected a string, got nothing$/],
  [undefined, /^acquire: expected an object, got nothing$/],
  [{ type: 7 }, /^acquire: type: expected string, got 7$/],
  [{ type: 'uno', tag: ['rev2'] }, /^acquire: unknown key "tag" \(did you mean "tags"\?\)$/],
  [{ type: 'uno', priority: 10 }, /^acquire: priority: expected a whole number from 0 to 9, got 10$/],
])('the request %j of plain JavaScript is refused', async (request, message) => {
  await using bench = new Bench();
  const asked = acquire(request as unknown as DeviceRequest, { env: bench.env });
  await expect(asked).rejects.toBeInstanceOf(RigError);
  await expect(asked).rejects.toMatchObject({
    blame: 'usage',
    message: expect.stringMatching(message) as string,
  });
});

test('a wait is told of, ends with the device, and stands in the same queue as the command', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', 'sh', '-c', 'echo up; exec cat']);
  await holder.prints(/up/);
  const said: string[] = [];
  const wait = acquire({ type: 'uno' }, { env: bench.env, onWait: (text) => said.push(text) });
  await until(() => said.length > 0, 'the wait is told of');
  const behind = bench.start(['uno', 'echo', 'after you']);
  await behind.says(/position 2/);
  holder.closeInput();
  const lease = await wait;
  expect(said[0]).toMatch(
    /^waiting for a device of type uno, position 1: uno1 is held by pid \d+ \(sh -c echo up; exec cat\)/,
  );
  await lease.release();
  expect((await behind.ended).stdout).toBe('after you\n');
});

test('an aborted wait gives its place up', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', 'cat']);
  await until(() => isLocked(bench.board.ttyPath), 'the command has the device');
  const stopper = new AbortController();
  const reason = new Error('no longer wanted');
  const wait = acquire(
    { type: 'uno' },
    { env: bench.env, signal: stopper.signal, onWait: () => stopper.abort(reason) },
  );
  await expect(wait).rejects.toBe(reason);
  holder.closeInput();
  await holder.ended;
  expect(bench.leftBehind()).toEqual([]);
});

test.each([
  ['an unknown type', { type: 'esp32' }, 'config', /unknown device type "esp32"/],
  ['a config that is not there', { type: 'uno', config: '/no/such' }, 'config', /expected a config file/],
] as const)('%s is refused as by the command', async (_what, request, blame, text) => {
  await using bench = new Bench();
  const refusal: unknown = await acquire(request, { env: bench.env }).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(RigError);
  expect(refusal).toMatchObject({ blame, message: expect.stringMatching(text) as string });
});

test('a device that is held is busy for who does not wait', async () => {
  await using bench = new Bench();
  await using lease = await acquire({ type: 'uno' }, { env: bench.env });
  await expect(acquire({ type: 'uno', waitMs: 0 }, { env: bench.env })).rejects.toMatchObject({
    blame: 'busy',
  });
  expect(lease.lost.aborted).toBe(false);
});

test('what was started for the device ends before the device is free', async () => {
  await using bench = new Bench();
  const lease = await acquire({ type: 'uno' }, { env: bench.env });
  const env = lease.childEnvironment();
  expect(env).toMatchObject({ SAI_DEVICE_TTY0: bench.board.ttyPath, SAI_DEVICE_NAME: 'uno1' });
  const child = spawn('sh', ['-c', 'setsid sleep 1000 & echo up; wait'], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  expect(processesOf(lease).length).toBeGreaterThan(1);
  const bystander = spawn('sleep', ['1000']);
  const ended = once(child, 'exit');
  await lease.release();
  expect(await ended).toEqual([null, 'SIGTERM']);
  expect(bystander.exitCode).toBe(null);
  bystander.kill();
  expect(processesOf(lease)).toEqual([]);
  expect(isLocked(bench.board.ttyPath)).toBe(false);
});

test('a program that is killed leaves neither lock nor what it had started', async () => {
  await using bench = new Bench();
  writeFileSync(
    bench.file('program.mjs'),
    `import { spawn } from 'node:child_process';
     import { acquire } from ${JSON.stringify(`${ROOT}dist/device-library.mjs`)};
     const lease = await acquire({ type: 'uno' });
     const child = spawn('flock', ['-n', process.argv[2], 'sh', '-c', 'echo up; sleep 1000'], {
       env: lease.childEnvironment(), detached: true, stdio: 'inherit' });
     await new Promise(() => child.on('exit', () => {}));`,
  );
  const witness = bench.file('witness');
  const program = spawn(process.execPath, [bench.file('program.mjs'), witness], {
    env: bench.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(program.stdout, 'data');
  program.kill('SIGKILL');
  const next = await bench.run(['--wait', '10s', 'uno', 'flock', '-n', witness, 'echo', 'alone']);
  expect(next).toMatchObject({ status: 0, stdout: 'alone\n' });
});

test('a lease is lost when its tty goes away, and when it lasts too long', async () => {
  await using bench = new Bench({ reappear: '0s' }, { type: 'esp32' });
  await using short = await acquire({ type: 'esp32', maxLeaseMs: 1 }, { env: bench.env });
  await until(() => short.lost.aborted, 'the time is over');
  expect(short.lost.reason).toMatchObject({ blame: 'busy' });
  await using lease = await acquire({ type: 'uno' }, { env: bench.env });
  bench.unplug(bench.board);
  await until(() => lease.lost.aborted, 'the tty is missed');
  expect(lease.lost.reason).toMatchObject({
    blame: 'hardware',
    message: `uno1: ${bench.board.ttyPath} went away during the lease; check cable and power`,
  });
});

test('a lease is kept through a short absence of its tty, and its tools are lent it', async () => {
  await using bench = new Bench();
  using port = new Port(bench.file('port'));
  bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [port.path] }] });
  await using lease = await acquire({ type: 'uno' }, { env: bench.env });
  const env = lease.childEnvironment();
  port.unplug();
  const [guard] = guardsOf(process.pid);
  await until(
    () => guardsOf(process.pid).length === 1 && guardsOf(process.pid)[0] !== guard,
    'a guard without it',
  );
  const board = port.plugIn();
  await until(() => isLocked(board.ttyPath), 'the tty is locked again');
  expect(lease.lost.aborted).toBe(false);
  const tool = spawn(process.execPath, [SAI_DEVICE, '--tool', 'flock', '-n', port.path, 'true'], { env });
  expect(await once(tool, 'exit')).toEqual([0, null]);
  expect(isLocked(board.ttyPath)).toBe(true);
});

test('under a lease that would do, a program joins it, and leaves it alone', async () => {
  await using bench = new Bench();
  writeFileSync(
    bench.file('program.mjs'),
    `import { acquire } from ${JSON.stringify(`${ROOT}dist/device-library.mjs`)};
     await using lease = await acquire({ type: 'uno', waitMs: 0 });
     console.log(lease.folder === process.env.SAI_DEVICE_LEASE, lease.childEnvironment().SAI_DEVICE_TTY0);
     await lease.release();`.replace('await using', 'const'),
  );
  const script = `${process.execPath} ${bench.file('program.mjs')}; flock -n $SAI_DEVICE_TTY0 true; echo $?`;
  const { stdout } = await bench.run(['uno', 'sh', '-c', script]);
  expect(stdout).toBe(`true ${bench.board.ttyPath}\n1\n`);
});

test(`${ROUNDS} rounds leave nothing behind`, { timeout: 300_000 }, async () => {
  await using bench = new Bench();
  const openFiles = (): number => readdirSync('/proc/self/fd').length;
  const round = async (): Promise<void> => {
    const lease = await acquire({ type: 'uno', waitMs: 0 }, { env: bench.env });
    await lease.release();
  };
  await round();
  const before = openFiles();
  for (let each = 0; each < ROUNDS; each++) await round();
  expect(openFiles()).toBe(before);
  expect(bench.leftBehind()).toEqual([]);
  expect(guardsOf(bench.runDir)).toEqual([]);
  expect(readdirSync(bench.runDir).sort()).toHaveLength(3);
});
