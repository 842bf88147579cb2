import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { queueClockMs } from '../../src/device/order.ts';
import { tryFlock } from '../../src/native/flock.ts';
import { OpenWatch } from '../../src/native/open-watch.ts';
import { Bench, SAI_DEVICE } from '../peers/bench.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { Foreigner } from '../peers/onlookers.ts';

const WAITERS = 20;

/** Twenty starts and twenty hand-overs, one after the other, on a busy machine. */
const PATIENCE_MS = 120_000;

/** A program that knows only the tty's own lock. Resolves once it has it. */
async function foreigner(ttyPath: string): Promise<ChildProcess> {
  const child = spawn('flock', [ttyPath, 'sh', '-c', 'echo up; cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

/** Ends when its input does. */
const HOLD = ['sh', '-c', 'echo up; exec cat'];

test(`${WAITERS} waiters get the device in the order in which they came, and hardly use the processor`, {
  timeout: PATIENCE_MS,
}, async () => {
  await using bench = new Bench();
  const log = bench.file('order');
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const waiters = [];
  for (let index = 1; index <= WAITERS; index++) {
    const waiter = bench.start(['uno', 'sh', '-c', `echo ${index} >> ${log}`]);
    await waiter.says(new RegExp(`position ${index}: uno1 is held by pid ${holder.pid} `));
    waiters.push(waiter);
  }
  expect(readdirSync(`${bench.runDir}/queue`).filter((name) => name !== 'wake')).toHaveLength(WAITERS);
  const ticksBefore = waiters.map((waiter) => cpuTicks(waiter.pid));
  spawnSync('sleep', ['2']); // the time during which the processor is not used
  const ticks = waiters.map((waiter, index) => cpuTicks(waiter.pid) - (ticksBefore[index] ?? 0));
  expect(ticks.reduce((sum, each) => sum + each, 0)).toBeLessThan(40); // of 200 that one core has in 2 s
  holder.closeInput();
  const ended = await Promise.all(waiters.map((waiter) => waiter.ended));
  expect(ended.map((each) => each.status)).toEqual(ended.map(() => 0));
  expect(readFileSync(log, 'utf8').trim().split('\n').map(Number)).toEqual(
    waiters.map((_waiter, index) => index + 1),
  );
  expect(bench.leftBehind()).toEqual([]);
});

test('who is next does not open a tty that a foreigner has when it is released', async () => {
  // Lent, so that the foreigner has it before the release and not an instant after.
  await using bench = new Bench({ lend: 'always' });
  const { ttyPath } = bench.board;
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const waiter = bench.start(['uno', 'true']);
  await waiter.says(/position 1: uno1 is held by/);
  await using foreigner = new Foreigner(ttyPath);
  await foreigner.hasLock;
  using opens = new OpenWatch(ttyPath);
  holder.closeInput();
  await waiter.says(/position 1: uno1 is locked by/);
  expect(opens.wasOpened()).toBe(false);
});

test('a waiter hears its position and who has the device, and hears again when that changes', async () => {
  await using bench = new Bench();
  const first = bench.start(['uno', ...HOLD]);
  await first.prints(/up/);
  const second = bench.start(['uno', ...HOLD]);
  await second.says(/position 1: uno1 is held by pid/);
  const third = bench.start(['uno', 'true']);
  await third.says(
    /position 2: uno1 is held by pid \d+ \(sh -c echo up; exec cat\) of \S+ since \d\d:\d\d:\d\d\n/,
  );
  first.closeInput();
  await third.says(new RegExp(`position 1: uno1 is held by pid ${second.pid} `));
  second.closeInput();
  expect((await third.ended).status).toBe(0);
});

test('a waiter hears when the device may come free, as far as earlier leases tell', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const first = bench.start(['uno', ...HOLD]);
  await first.says(/position 1: uno1 is held by pid \d+ .* since [\d:]{8}\n/); // nothing is known yet
  holder.closeInput();
  await first.prints(/up/);
  await holder.ended;
  const minutes = [2, 3, 4].map((each, index) => ({ durationMs: each * 60_000, fence: index }));
  const state = { version: 1, devices: { uno1: { fence: 3, leases: minutes } } };
  writeFileSync(`${bench.runDir}/state/state.json`, JSON.stringify(state));
  const second = bench.start(['uno', ...HOLD]);
  await second.says(/position 1: uno1 is held by .*; free in about 3 min\n/);
  const third = bench.start(['uno', 'true']);
  await third.says(/position 2: uno1 is held by .*; free in about 6 min\n/);
  const short = { version: 1, devices: { uno1: { fence: 3, leases: [{ durationMs: 1, fence: 1 }] } } };
  writeFileSync(`${bench.runDir}/state/state.json`, JSON.stringify(short));
  const last = bench.start(['uno', 'true']);
  await last.says(/position 3: uno1 is held by .*; later than usual: leases last about 1 s\n/);
  first.closeInput();
  await second.prints(/up/);
  second.closeInput();
  for (const waiter of [third, last]) expect((await waiter.ended).status).toBe(0);
});

test('a fence is higher than any that the state knows, also where the lease file is new', async () => {
  await using bench = new Bench();
  await bench.run(['uno', 'true']);
  const fence = 8_000_000_000_000_000;
  const state = { version: 1, devices: { uno1: { fence, leases: [] } } };
  writeFileSync(`${bench.runDir}/state/state.json`, JSON.stringify(state));
  const fences = [];
  for (let run = 0; run < 2; run++) {
    for (const name of readdirSync(bench.runDir).filter((each) => each.endsWith('.lease'))) {
      rmSync(`${bench.runDir}/${name}`);
    }
    fences.push((await bench.run(['uno', 'sh', '-c', 'echo $SAI_DEVICE_FENCE'])).stdout.trim());
  }
  expect(fences).toEqual([`${fence + 1}`, `${fence + 2}`]);
});

test('a command of many lines is shown on one, without what could steer a terminal', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', 'sh', '-c', 'echo up\n# \u001b[31mred\nexec cat', 'x'.repeat(500)]);
  await holder.prints(/up/);
  const { stderr } = await bench.run(['--no-wait', 'uno', 'true']);
  expect(stderr).toMatch(/^sai-device: .* \(sh -c echo up # \[31mred exec cat x+ …\) of [^\n]+\n$/);
  holder.closeInput();
});

test('an uno waiter is not behind an esp32 waiter', async () => {
  await using bench = new Bench({ type: 'uno' }, { type: 'esp32' });
  const uno = bench.start(['uno', ...HOLD]);
  const esp32 = bench.start(['esp32', ...HOLD]);
  await Promise.all([uno.prints(/up/), esp32.prints(/up/)]);
  const waitsForEsp32 = bench.start(['esp32', 'true']);
  await waitsForEsp32.says(/position 1/);
  const waitsForUno = bench.start(['uno', 'true']);
  await waitsForUno.says(/position 1/);
  uno.closeInput();
  expect((await waitsForUno.ended).status).toBe(0);
  esp32.closeInput();
  expect((await waitsForEsp32.ended).status).toBe(0);
});

test('where the kernel gives no watch any more, waiters look, and get the device all the same', async (context) => {
  needsProgram(context, 'unshare');
  const isPossible = spawnSync('unshare', ['--user', '--map-root-user', 'true']).status === 0;
  context.skip(!isPossible, 'needs user namespaces');
  await using bench = new Bench();
  const log = bench.file('order');
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const limit = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"';
  const queue = [1, 2].map(async (number) => {
    const command = [process.execPath, SAI_DEVICE, 'uno', 'sh', '-c', `echo ${number} >> ${log}`];
    const waiter = spawn('unshare', ['--user', '--map-root-user', 'sh', '-c', limit, 'sh', ...command], {
      env: bench.env,
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    await once(waiter.stderr, 'data');
    return waiter;
  });
  const waiters = await Promise.all(queue);
  const ended = waiters.map((waiter) => once(waiter.stderr.resume(), 'close'));
  holder.closeInput();
  await Promise.all(ended);
  expect(readFileSync(log, 'utf8').split('\n').sort()).toEqual(['', '1', '2']);
  expect(bench.leftBehind()).toEqual([]);
});

test('the more urgent is served first, and is told so', async () => {
  await using bench = new Bench();
  const log = bench.file('order');
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const waiters = [];
  for (const priority of [5, 0, 9, 7]) {
    const waiter = bench.start([
      '--priority',
      `${priority}`,
      'uno',
      'sh',
      '-c',
      `echo ${priority} >> ${log}`,
    ]);
    await waiter.says(/position/);
    waiters.push(waiter);
  }
  await waiters[1]?.says(/position 4/);
  holder.closeInput();
  await Promise.all(waiters.map((waiter) => waiter.ended));
  expect(readFileSync(log, 'utf8')).toBe('9\n7\n5\n0\n');
});

test('who has waited for twenty minutes is in front of who asks for two steps more', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const content = {
    pid: process.pid,
    startTicks: 0,
    user: 'ann',
    request: 'uno',
    wants: [[[`path:${bench.board.ttyPath}`]]],
    sinceMs: Date.now(),
    command: 'true',
  };
  const waitedMs = [20 * 60_000, 19 * 60_000];
  const tickets = waitedMs.map((ms, index) => {
    const name = `000000000${index + 1}-3-${queueClockMs() - ms}-1-x`;
    const fd = openSync(join(bench.runDir, 'queue', name), 'wx+');
    writeSync(fd, `${JSON.stringify(content)}\n`);
    tryFlock(fd);
    return fd;
  });
  const waiter = bench.start(['uno', 'true']);
  await waiter.says(/position 2/);
  for (const fd of tickets) closeSync(fd);
  await waiter.says(/position 1/);
  holder.closeInput();
  expect((await waiter.ended).status).toBe(0);
});

test('the device that was used longest ago comes first', async () => {
  await using bench = new Bench({}, {}, {});
  const names = [];
  for (let run = 0; run < 6; run++) {
    names.push((await bench.run(['uno', 'sh', '-c', 'echo $SAI_DEVICE_NAME'])).stdout.trim());
  }
  expect(names).toEqual(['uno1', 'uno2', 'uno3', 'uno1', 'uno2', 'uno3']);
});

test('a foreign lock is respected, waited for, and named', async () => {
  await using bench = new Bench();
  const other = await foreigner(bench.board.ttyPath);
  const refused = await bench.run(['--no-wait', 'uno', 'true']);
  expect(refused.status).toBe(75);
  expect(refused.stderr).toMatch(
    /^sai-device: no free device of type uno: uno1 is locked by process \d+ \(.*\)\n$/,
  );
  const waiter = bench.start(['uno', 'true']);
  await waiter.says(/position 1: uno1 is locked by process/);
  other.stdin?.end();
  expect((await waiter.ended).status).toBe(0);
});

test('a wait has an end, and the line at its end names the holder', async () => {
  await using bench = new Bench();
  const findings = bench.file('findings');
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const { status, stderr } = await bench.run(['-q', '--wait', '300ms', 'uno', 'true'], {
    SAI_FINDINGS: findings,
  });
  expect(status).toBe(75);
  expect(stderr).toMatch(
    new RegExp(
      `^sai-device: no free device of type uno after 300 ms: uno1 is held by pid ${holder.pid} .*\n$`,
    ),
  );
  expect(JSON.parse(readFileSync(findings, 'utf8'))).toMatchObject({ verdict: 'infra', blame: 'busy' });
  const optional = ['--optional', '--no-wait', 'uno', 'true'];
  expect((await bench.run(optional, { SAI_FINDINGS: bench.file('none') })).status).toBe(75);
  expect(() => readFileSync(bench.file('none'))).toThrow('ENOENT');
  holder.closeInput();
});

test('a waiter that is stopped when its turn comes is overtaken, and keeps its place', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const stopped = bench.start(['uno', 'echo', 'late']);
  await stopped.says(/position 1/);
  const next = bench.start(['uno', ...HOLD]);
  await next.says(/position 2/);
  stopped.kill('SIGSTOP');
  holder.closeInput();
  await next.prints(/up/);
  const last = bench.start(['uno', ...HOLD]);
  await last.says(/position 2/);
  stopped.kill('SIGCONT');
  await stopped.says(new RegExp(`position 1: uno1 is held by pid ${next.pid} `));
  next.closeInput();
  expect((await stopped.ended).stdout).toBe('late\n');
  await last.prints(/up/);
  last.closeInput();
});

test('who will not wait is told that a free device is for those who came before', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const stopped = bench.start(['uno', 'true']);
  await stopped.says(/position 1/);
  stopped.kill('SIGSTOP');
  holder.closeInput();
  await holder.ended;
  const { status, stderr } = await bench.run(['--no-wait', 'uno', 'true']);
  stopped.kill('SIGCONT');
  expect({ status, stderr }).toEqual({
    status: 75,
    stderr: 'sai-device: no free device of type uno: uno1 is free, for those who came before\n',
  });
});

test('a holder whom this pid namespace hides is named all the same', async (context) => {
  needsRoot(context, 'to make a pid namespace');
  needsProgram(context, 'unshare');
  await using bench = new Bench();
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const command = [
    '--pid',
    '--fork',
    '--mount-proc',
    process.execPath,
    SAI_DEVICE,
    '--no-wait',
    'uno',
    'true',
  ];
  const { status, stderr } = spawnSync('unshare', command, { env: bench.env, encoding: 'utf8' });
  expect(status).toBe(75);
  expect(stderr).toMatch(
    new RegExp(`^sai-device: no free device of type uno: uno1 is held by pid ${holder.pid} .*\n$`),
  );
  holder.closeInput();
});

test('a dead ticket and malformed ones hold nobody up, and each is named once', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const dead = bench.start(['uno', 'true']);
  await dead.says(/position 1/);
  dead.kill('SIGKILL');
  await dead.ended;
  writeFileSync(`${bench.runDir}/queue/0000000000-5-1-1-abc`, 'not a ticket');
  spawnSync('mkfifo', [`${bench.runDir}/queue/0000000000-5-1-1-fifo`]);
  writeFileSync(`${bench.runDir}/queue/readme`, 'not even named like one');
  const waiter = bench.start(['uno', 'true']);
  await waiter.says(/position 1/);
  holder.closeInput();
  const { status, stderr } = await waiter.ended;
  expect(status).toBe(0);
  const queue = `${bench.runDir}/queue`;
  expect(stderr.split('\n').filter((line) => line.includes('ticket'))).toEqual([
    `sai-device: queue: ignored ticket 0000000000-5-1-1-abc: it is not one of ours; remove ${queue}/0000000000-5-1-1-abc`,
    `sai-device: queue: ignored ticket 0000000000-5-1-1-fifo: it is not one of ours; remove ${queue}/0000000000-5-1-1-fifo`,
    expect.stringMatching(
      /^sai-device: queue: ignored ticket 0000000001-5-[\d-]+-\w+: its waiter \(pid \d+ of \S+, for uno\) has ended$/,
    ),
  ]);
  expect(bench.leftBehind().sort()).toEqual(['0000000000-5-1-1-abc', '0000000000-5-1-1-fifo', 'readme']);
});

test('a waiter in the middle that is killed lets those behind it move up', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', ...HOLD]);
  await holder.prints(/up/);
  const middle = bench.start(['uno', 'true']);
  await middle.says(/position 1/);
  const waiter = bench.start(['uno', 'true']);
  await waiter.says(/position 2/);
  middle.kill('SIGKILL');
  await waiter.says(/position 1/);
  holder.closeInput();
  expect((await waiter.ended).status).toBe(0);
});

test('two requests for a free device at the same moment: one runs, the other waits', async () => {
  await using bench = new Bench();
  const witness = bench.file('witness');
  const command = ['flock', '-n', '-E', '99', witness, 'sleep', '0.05'];
  const runs = Array.from({ length: 6 }, () => bench.start(['-q', 'uno', ...command]));
  const ended = await Promise.all(runs.map((run) => run.ended));
  expect(ended.map(({ status, stderr }) => ({ status, stderr }))).toEqual(
    runs.map(() => ({ status: 0, stderr: '' })),
  );
});

describe('where nothing says which folder is shared', () => {
  /** In a mount namespace of its own, in which `script` gets /run ready; `$TTY_GID` is the group of the ttys. */
  function runIn(bench: Bench, script: string, args: readonly string[]): SpawnSyncReturns<string> {
    const gid = String(statSync(bench.board.ttyPath).gid);
    const env: NodeJS.ProcessEnv = { ...bench.env, TMPDIR: bench.folder, TTY_GID: gid };
    delete env['SAI_RUN_DIR'];
    const inside = `${script} && exec "$@"`;
    const command = ['--mount', 'sh', '-c', inside, 'sh', process.execPath, SAI_DEVICE, ...args];
    return spawnSync('unshare', command, { env, encoding: 'utf8' });
  }

  const PRIVATE_RUN = 'mount -t tmpfs none /run && mkdir -m 1777 /run/lock';
  const LOOK = ['uno', 'sh', '-c', 'flock -n $SAI_DEVICE_TTY0 true; echo $?; echo $SAI_DEVICE_LEASE'];

  test('it is one of the group of the ttys under /run/lock', async (context) => {
    needsRoot(context, 'to have a /run of its own');
    needsProgram(context, 'unshare');
    await using bench = new Bench();
    const { status, stdout, stderr } = runIn(bench, PRIVATE_RUN, LOOK);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^1\n\/run\/lock\/sai-\d+\/leases\//);
  });

  test.for([
    ['cannot be made', 'mount -t tmpfs -o ro none /run', 'no such folder'],
    [
      'was made by a stranger',
      `${PRIVATE_RUN} && mkdir -m 777 /run/lock/sai-$TTY_GID && chown 65534:65534 /run/lock/sai-$TTY_GID`,
      'expected a folder of group \\d+ alone, found group 65534, writable by all, made by user 65534; remove it',
    ],
    [
      'is a link of a stranger',
      `${PRIVATE_RUN} && mkdir /run/victim && ln -s /run/victim /run/lock/sai-$TTY_GID`,
      'expected a folder of group \\d+ alone, found no folder, made by user 0; remove it',
    ],
  ])(
    'and it %s, devices are still locked, and one line says that there is no queue',
    async ([_name, script = '', why], context) => {
      needsRoot(context, 'to have a /run of its own');
      needsProgram(context, 'unshare');
      await using bench = new Bench();
      const { status, stdout, stderr } = runIn(bench, script, LOOK);
      expect(status).toBe(0);
      expect(stdout).toMatch(new RegExp(`^1\n${bench.folder}/sai-lease-`));
      expect(stderr).toMatch(
        new RegExp(
          `^sai-device: no shared run folder \\(/run/.*: ${why}\\): locking without queue; have root .*\n$`,
        ),
      );
    },
  );
});

function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
