/** One host, several namespaces and users: what they share decides what keeps them off each other's devices. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest';
import { readChildPids } from '../../src/base/process-table.ts';
import { Bench, type Ended, SAI_DEVICE, type Started } from '../peers/bench.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { reachableSaiDevice } from '../peers/reachable-commands.ts';

const HOLD = ['sh', '-c', 'echo up; read -r line'];

/** Words that run `script` in a mount namespace of its own and then become the command behind them. */
const inMounts = (script: string): string[] => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  `${script} && exec "$@"`,
  'sh',
];

function needsContainers(context: TestContext): void {
  needsRoot(context, 'to make namespaces');
  needsProgram(context, 'unshare');
}

/** A config of its own, with this one device. */
function configOf(bench: Bench, name: string, device: object): NodeJS.ProcessEnv {
  const config = bench.file(`${name}.conf`);
  writeFileSync(config, JSON.stringify({ devices: [{ name, type: 'uno', ...device }] }));
  return { SAI_DEVICES_CONF: config };
}

test('containers that share the node alone keep each other out by its lock', async (context) => {
  needsContainers(context);
  await using bench = new Bench();
  /** Sees the board at a path of its own, and has a run folder of its own. */
  const container = (name: string): { words: string[]; env: NodeJS.ProcessEnv } => {
    const tty = bench.file(`${name}-tty`);
    writeFileSync(tty, '');
    return {
      words: inMounts(`mount --bind ${bench.board.ttyPath} ${tty}`),
      env: { ...configOf(bench, name, { ttys: [tty] }), SAI_RUN_DIR: bench.file(`${name}-run`) },
    };
  };
  const [one, other] = [container('one'), container('other')];
  const holder = bench.start(['uno', ...HOLD], one.env, one.words);
  await holder.prints(/up/);
  const refused = await bench.start(['--no-wait', 'uno', 'true'], other.env, other.words).ended;
  expect(refused.status).toBe(75);
  expect(refused.stderr).toMatch(
    /^sai-device: no free device of type uno: other is locked by process \d+ \(.*\)\n$/,
  );
  const waiter = bench.start(['uno', 'echo', 'ran'], other.env, other.words);
  await waiter.says(/position 1: other is locked by process/);
  holder.closeInput();
  expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'ran\n' });
});

describe('containers with nodes of their own that share the run folder', () => {
  /** In a private folder, made inside, where nobody else has an inode of it. */
  const container = (
    bench: Bench,
    name: string,
    [major, minor]: readonly [number, number],
    key: 'ttys' | 'locks',
  ) => {
    const folder = bench.file(`${name}-dev`);
    mkdirSync(folder);
    const node = join(folder, 'node');
    return {
      words: inMounts(`mount -t tmpfs none ${folder} && mknod -m 666 ${node} c ${major} ${minor}`),
      env: configOf(bench, name, { [key]: [node] }),
    };
  };

  test.for([
    // A console that nobody looks at, which every machine with a screen has.
    ['of a tty', [4, 63], 'ttys'],
    // Stands for the node of a probe: every machine has it.
    ['of another device', [1, 3], 'locks'],
  ] as const)('%s keep each other out by the lease file', async ([_what, number, key], context) => {
    needsContainers(context);
    context.skip(!canOpen(number), `needs the character device ${number.join(':')}`);
    await using bench = new Bench();
    const [one, other] = [container(bench, 'one', number, key), container(bench, 'other', number, key)];
    const holder = bench.start(['uno', ...HOLD], one.env, one.words);
    await holder.prints(/up/);
    const refused = await bench.start(['--no-wait', 'uno', 'true'], other.env, other.words).ended;
    expect(refused).toMatchObject({ status: 75, stdout: '' });
    expect(refused.stderr).toContain(
      `no free device of type uno: other is held as one by pid ${holder.pid} `,
    );
    const waiter = bench.start(['uno', 'echo', 'ran'], other.env, other.words);
    await waiter.says(/position 1: other is held as one by pid/);
    // Killed, so that the guard has to let go.
    holder.kill('SIGKILL');
    expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'ran\n' });
  });

  test('of a pty are no ttys: no second inode of one can be opened, so its inode is its name', async (context) => {
    needsContainers(context);
    await using bench = new Bench();
    const node = bench.file('node');
    const minor = /\d+$/.exec(bench.board.ttyPath)?.[0] ?? '';
    expect(spawnSync('mknod', ['-m', '666', node, 'c', '136', minor]).status).toBe(0);
    expect(spawnSync('cat', [node], { encoding: 'utf8' }).stderr).toContain('Input/output error');
    const refused = await bench.run(['--no-wait', 'uno', 'true'], configOf(bench, 'uno1', { ttys: [node] }));
    expect(refused.status).toBe(75);
  });

  function canOpen([major, minor]: readonly [number, number]): boolean {
    const script = `mount -t tmpfs none /mnt && mknod /mnt/n c ${major} ${minor} && exec 3<>/mnt/n`;
    return spawnSync('unshare', ['--mount', 'sh', '-c', script]).status === 0;
  }
});

describe('a pid namespace', () => {
  const PID_NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

  test('hides the holder: a waiter inside waits without haste, and gets the device when it is free', async (context) => {
    needsContainers(context);
    await using bench = new Bench();
    const holder = bench.start(['uno', ...HOLD]);
    await holder.prints(/up/);
    const waiter = bench.start(['uno', 'echo', 'ran'], {}, PID_NAMESPACE);
    await waiter.says(new RegExp(`position 1: uno1 is held by pid ${holder.pid} `));
    const [inside = 0] = readChildPids(waiter.pid) ?? [];
    const before = cpuTicks(inside);
    spawnSync('sleep', ['1']); // the time in which the processor is not used
    expect(cpuTicks(inside) - before).toBeLessThan(20); // of 100
    expect(waiter.hasPrinted(/ran/)).toBe(false);
    holder.closeInput();
    expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'ran\n' });
  });

  test('that holds a device ends, and the device is free', async (context) => {
    needsContainers(context);
    await using bench = new Bench();
    const holder = bench.start(['uno', ...HOLD], {}, PID_NAMESPACE);
    await holder.prints(/up/);
    const waiter = bench.start(['uno', 'echo', 'ran']);
    await waiter.says(/position 1: uno1 is held by pid/);
    holder.kill('SIGKILL'); // with all that is in it, also the guard
    expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'ran\n' });
  });

  test('in which the pid of a killed holder is given to another process has a free device', async (context) => {
    needsContainers(context);
    await using bench = new Bench();
    const script = `set -e
      "$@" & holder=$!
      while ! [ -e ${bench.file('up')} ]; do sleep 0.02; done
      guard=$(grep -ls SAI_DEVICE_GUARD= /proc/[0-9]*/environ | cut -d/ -f3)
      kill -STOP $guard; kill -KILL $holder $guard; wait $holder 2> /dev/null || true
      echo $((holder - 1)) > /proc/sys/kernel/ns_last_pid
      sleep 1000 & echo "same pid $(($! - holder))"
      ${process.execPath} ${SAI_DEVICE} --list --json
      exec ${process.execPath} ${SAI_DEVICE} --no-wait uno echo ran`;
    const words = [...PID_NAMESPACE, 'sh', '-c', script, 'sh'];
    const { status, stdout, stderr } = await bench.start(
      ['uno', 'sh', '-c', `touch ${bench.file('up')}; exec sleep 1000`],
      {},
      words,
    ).ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^same pid 0\n.*"state":"free".*\nran\n$/);
  });
});

describe('two users of the group of the ttys, in the folder that they find by themselves', () => {
  const DIALOUT = 20;

  /** Keeps a private /run for as long as the test runs; the words that enter it. */
  async function privateRun(): Promise<string[]> {
    const script = 'mount -t tmpfs none /run && mkdir -m 1777 /run/lock && echo ready && cat';
    const keeper = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void keeper.stdin.end());
    await once(keeper.stdout, 'data');
    return ['nsenter', `--mount=/proc/${keeper.pid}/ns/mnt`];
  }

  const asUser = (uid: number): string[] => [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    `--groups=${DIALOUT}`,
  ];
  const SECRETIVE = ['sh', '-c', 'umask 077 && exec "$@"', 'sh'];

  async function shared(
    context: TestContext,
  ): Promise<{ bench: Bench; start: (uid: number, args: string[], ...words: string[]) => Started }> {
    needsContainers(context);
    for (const program of ['nsenter', 'setpriv']) needsProgram(context, program);
    const bench = new Bench();
    chownSync(bench.board.ttyPath, 0, DIALOUT);
    chmodSync(bench.board.ttyPath, 0o660);
    chmodSync(bench.folder, 0o777);
    const enter = await privateRun();
    const program = reachableSaiDevice();
    const start = (uid: number, args: string[], ...words: string[]): Started =>
      bench.startWords(
        [...enter, ...asUser(uid), ...SECRETIVE, ...words, process.execPath, program, ...args],
        {
          SAI_RUN_DIR: undefined,
          TMPDIR: bench.folder,
        },
      );
    return { bench, start };
  }

  test('queue behind each other, whatever their umask', async (context) => {
    const { bench: owned, start } = await shared(context);
    await using bench = owned;
    const log = bench.file('log');
    writeFileSync(log, '');
    chmodSync(log, 0o666);
    const command = ['uno', 'sh', '-c', `echo up; read -r line; id -u >> ${log}; echo $SAI_DEVICE_LEASE`];
    const first = start(2001, command);
    await first.prints(/up/);
    const waiters: Started[] = [];
    for (const [index, uid] of [2002, 2001, 2002].entries()) {
      const waiter = start(uid, command);
      await waiter.says(new RegExp(`position ${index + 1}: uno1 is held by pid \\d+ `));
      waiters.push(waiter);
    }
    for (const each of [first, ...waiters]) each.type('\n');
    const ended: Ended[] = await Promise.all([first, ...waiters].map((each) => each.ended));
    expect(ended.map(({ status }) => status)).toEqual([0, 0, 0, 0]);
    expect(readFileSync(log, 'utf8')).toBe('2001\n2002\n2001\n2002\n');
    for (const { stdout } of ended) expect(stdout).toMatch(/^up\n\/run\/lock\/sai-20\/leases\//);
  });

  test('never open a file of the other so that fs.protected_regular forbids it', async (context) => {
    needsProgram(context, 'strace');
    const { bench: owned, start } = await shared(context);
    await using bench = owned;
    const holder = start(2001, ['uno', ...HOLD]);
    await holder.prints(/up/);
    const trace = bench.file('trace');
    // Not set here, because it is one for the whole machine: the kernel refuses O_CREAT on an existing file of another
    // user in a sticky folder, with EACCES, unless O_EXCL makes it refuse that anyway, with EEXIST.
    const waiter = start(
      2002,
      ['uno', 'echo', 'ran'],
      'strace',
      '-f',
      '--trace=openat,open,creat',
      `--output=${trace}`,
    );
    await waiter.says(/position 1/);
    holder.closeInput();
    expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'ran\n' });
    const opens = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"/run/lock/sai-20'));
    expect(opens.length).toBeGreaterThan(5);
    expect(
      opens.filter(
        (line) => line.includes('creat(') || (line.includes('O_CREAT') && !line.includes('O_EXCL')),
      ),
    ).toEqual([]);
  });

  test('are told about a ticket that they may not remove, once, and wait behind it for nothing', async (context) => {
    const { bench: owned, start } = await shared(context);
    await using _bench = owned;
    const holder = start(2001, ['uno', ...HOLD]);
    await holder.prints(/up/);
    const killed = start(2001, ['uno', 'true']);
    await killed.says(/position 1/);
    killed.kill('SIGKILL');
    await killed.ended;
    const waiter = start(2002, ['uno', 'echo', 'ran']);
    await waiter.says(/position 1/);
    holder.closeInput();
    const { status, stdout, stderr } = await waiter.ended;
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'ran\n' });
    const ignored = stderr.split('\n').filter((line) => line.includes('ignored'));
    expect(ignored).toEqual([
      expect.stringMatching(
        /^sai-device: queue: ignored ticket 0000000001-5-[\d-]+-\w+: its waiter \(pid \d+ of \w+, for uno\) has ended, and only its owner, user 2001, can remove it \(EPERM: .*\)$/,
      ),
    ]);
    // Its owner clears it away.
    const own = await start(2001, ['uno', 'echo', 'ran']).ended;
    expect(own.stdout).toBe('ran\n');
    expect(own.stderr).toMatch(
      /^sai-device: queue: ignored ticket 0000000001-.*: its waiter \(.*\) has ended\n$/,
    );
    expect((await start(2002, ['uno', 'true']).ended).stderr).toBe('');
  });
});

function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
