/** Killed between any two steps, a full disk, a clock that jumps: the device comes free, and the next one gets it. */

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readFindings } from '../../src/findings/findings-file.ts';
import { Bench, type Started } from '../peers/bench.ts';
import { areLeaseFilesFree, isTtyFree, lockKeepersOf } from '../peers/lease-observer.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { reachableSaiDevice } from '../peers/reachable-commands.ts';
import { NO_SMALL_DISK, smallDisk } from '../peers/small-disk.ts';
import { until } from '../until.ts';

/** Says that it is up, and ends when its input does, or at a line. */
const HOLD = ['sh', '-c', 'echo up; read -r line; exit 5'];

describe('killed by SIGKILL between any two of its steps', () => {
  /** The system calls by which it changes something that others see, or keeps them from it. */
  const STEPS = [
    'umask',
    'mkdir',
    'chmod',
    'fchmod',
    'flock',
    'pwrite64',
    'ftruncate',
    'rename',
    'unlink',
    'rmdir',
  ];

  /** Only the main thread is followed, in which all of these are made: guard and command are left alone. */
  const traced = (file: string, ...more: string[]): string[] => [
    'strace',
    '-qq',
    `--output=${file}`,
    `--trace=${STEPS.join()}`,
    ...more,
  ];

  test.for([
    ['a holder leaves a device that is free', [], 0],
    ['a waiter leaves a queue that goes on', ['--wait', '20ms'], 75],
  ] as const)('%s', { timeout: 120_000 }, async ([_what, options, ownStatus], context) => {
    needsProgram(context, 'strace');
    const isWaiter = ownStatus === 75;

    /** In a rig of its own. With no step it ends in order; the steps that it took. */
    async function run(step: string | undefined): Promise<string[]> {
      await using bench = new Bench();
      mkdirSync(bench.runDir);
      const holder = isWaiter ? bench.start(['uno', ...HOLD]) : undefined;
      await holder?.prints(/up/);
      const trace = bench.file('trace');
      const words = traced(trace, ...(step === undefined ? [] : [`--inject=${step}`]));
      const struck = await bench.start([...options, 'uno', 'true'], {}, words).ended;
      expect({ step, status: struck.status, signal: struck.signal }).toEqual({
        step,
        ...(step === undefined ? { status: ownStatus, signal: null } : { status: null, signal: 'SIGKILL' }),
      });
      holder?.closeInput();
      await holder?.ended;
      await expectRecovery(bench);
      return readFileSync(trace, 'utf8')
        .split('\n')
        .map((line) => /^(\w+)\(/.exec(line)?.[1])
        .filter((name) => name !== undefined);
    }

    const calls = await run(undefined);
    const steps = calls.map((name, index) => {
      const nth = calls.slice(0, index + 1).filter((each) => each === name).length;
      return `${name}:signal=SIGKILL:when=${nth}`;
    });
    expect(steps.length).toBeGreaterThanOrEqual(isWaiter ? 5 : 20);
    const queue = [...steps];
    const work = async (): Promise<void> => {
      for (let step = queue.shift(); step !== undefined; step = queue.shift()) await run(step);
    };
    await Promise.all([work(), work(), work(), work()]);
  });

  async function expectRecovery(bench: Bench): Promise<void> {
    await until(() => isTtyFree(bench.board.ttyPath) && areLeaseFilesFree(bench), 'the device is free');
    // Before anybody has repaired anything: no user of the group is locked out.
    for (const name of readdirSync(bench.runDir)) {
      const { mode } = statSync(join(bench.runDir, name));
      expect([name, (mode & 0o060).toString(8)]).toEqual([name, '60']);
    }
    bench.ageLeftBehind();
    const next = bench.start(['uno', ...HOLD]);
    await next.prints(/up/);
    const waiter = bench.start(['uno', 'echo', 'ran']);
    await waiter.says(/position 1: uno1 is held by pid/);
    next.closeInput();
    expect(await next.ended).toMatchObject({ status: 5 });
    expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'ran\n' });
    expect(lockKeepersOf(bench)).toEqual([]);
    expect(bench.leftBehind()).toEqual([]);
  }
});

describe('a disk on which nothing can be written', () => {
  function fill(folder: string): string {
    const ballast = join(folder, 'ballast');
    spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096']);
    return ballast;
  }

  test('keeps a command from starting, with one line and a finding, and the device stays free', async (context) => {
    context.skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
    await using bench = new Bench();
    const disk = smallDisk(1_000_000);
    const env = { SAI_RUN_DIR: join(disk, 'run'), SAI_FINDINGS: bench.file('findings') };
    expect((await bench.run(['uno', 'true'], env)).status).toBe(0);
    fill(disk);
    const { status, stdout, stderr } = await bench.run(['uno', 'echo', 'ran'], env);
    expect({ status, stdout }).toEqual({ status: 69, stdout: '' });
    expect(stderr).toMatch(/^sai-device: .*\/run\/leases: cannot write down the lease: ENOSPC: .*\n$/);
    expect(readFindings(env.SAI_FINDINGS)).toMatchObject([{ verdict: 'infra', blame: 'unavailable' }]);
    expect(isTtyFree(bench.board.ttyPath)).toBe(true);
    expect(readdirSync(join(disk, 'run', 'leases'))).toEqual([]);
  });

  test('neither ends a lease nor changes its status, and its waiters are told', async (context) => {
    context.skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
    await using bench = new Bench();
    const disk = smallDisk(1_000_000);
    const env = { SAI_RUN_DIR: join(disk, 'run') };
    const holder = bench.start(['uno', ...HOLD], env);
    await holder.prints(/up/);
    const waiter = bench.start(['uno', 'echo', 'ran'], env);
    await waiter.says(/position 1/);
    const ballast = fill(disk);
    const late = await bench.run(['uno', 'true'], env);
    expect(late.status).toBe(69);
    expect(late.stderr).toMatch(/^sai-device: .*\/queue: cannot write a ticket: ENOSPC: .*\n$/);
    holder.closeInput();
    expect(await holder.ended).toMatchObject({ status: 5, stderr: '' });
    // The end of the lease makes a little room: who is told and who gets it is up to the kernel.
    const { status, stdout } = await waiter.ended;
    expect([
      { status: 69, stdout: '' },
      { status: 0, stdout: 'ran\n' },
    ]).toContainEqual({ status, stdout });
    expect(isTtyFree(bench.board.ttyPath)).toBe(true);
    rmSync(ballast);
    expect((await bench.run(['uno', 'echo', 'ran'], env)).stdout).toBe('ran\n');
    expect(readdirSync(join(disk, 'run', 'leases'))).toEqual([]);
  });

  test('is refused as run folder before anything is locked', async (context) => {
    context.skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
    await using bench = new Bench();
    const disk = smallDisk(1_000_000);
    const env = { SAI_RUN_DIR: join(disk, 'run') };
    expect((await bench.run(['uno', 'true'], env)).status).toBe(0);
    spawnSync('mount', ['-o', 'remount,ro', disk]);
    const { status, stderr } = await bench.run(['uno', 'true'], env);
    expect(status).toBe(78);
    expect(stderr).toMatch(/^sai-device: SAI_RUN_DIR: .*: cannot be used: EROFS: .*\n$/);
    expect(isTtyFree(bench.board.ttyPath)).toBe(true);
  });

  test('a run folder that its user may not write to any more does not keep the device', async (context) => {
    needsRoot(context, 'to become somebody who is not');
    needsProgram(context, 'setpriv');
    await using bench = new Bench();
    chmodSync(bench.board.ttyPath, 0o666);
    chmodSync(bench.folder, 0o777);
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const script = 'chmod 555 $SAI_RUN_DIR $SAI_RUN_DIR/leases $SAI_RUN_DIR/queue; exit 5';
    const words = [...nobody, process.execPath, reachableSaiDevice(), 'uno', 'sh', '-c', script];
    const { status, stderr } = spawnSync(words[0] ?? '', words.slice(1), {
      env: bench.env,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 5, stderr: '' });
    expect(isTtyFree(bench.board.ttyPath) && areLeaseFilesFree(bench)).toBe(true);
  });

  test('a run folder that somebody removes during a lease takes neither the device nor the status', async () => {
    await using bench = new Bench();
    const { status, stderr } = await bench.run(['uno', 'sh', '-c', 'rm -rf $SAI_RUN_DIR; exit 5']);
    expect({ status, stderr }).toEqual({ status: 5, stderr: '' });
    expect(isTtyFree(bench.board.ttyPath)).toBe(true);
    expect((await bench.run(['uno', 'echo', 'ran'])).stdout).toBe('ran\n');
  });
});

describe('a wall clock that jumps', () => {
  const DAY_MS = 86_400_000;

  /** What a set clock changes for a process: `Date`. Its timers and `performance.now` come from the monotonic clock. */
  class SetClock {
    readonly #file: string;
    readonly env: NodeJS.ProcessEnv;

    constructor(bench: Bench) {
      this.#file = bench.file('clock');
      const preload = bench.file('clock.cjs');
      writeFileSync(
        preload,
        `const { readFileSync } = require('node:fs');
        const now = Date.now;
        Date.now = () => now() + Number(readFileSync(${JSON.stringify(this.#file)}, 'utf8'));`,
      );
      this.env = { NODE_OPTIONS: `--require ${preload}` };
      this.set(0);
    }

    set(offsetMs: number): void {
      writeFileSync(this.#file, String(offsetMs));
    }
  }

  const fenceOf = async (started: Started): Promise<number> => {
    const { status, stdout } = await started.ended;
    expect(status).toBe(0);
    return Number(stdout);
  };

  test('backwards between two leases lowers no fence', async () => {
    await using bench = new Bench();
    const clock = new SetClock(bench);
    const fences = [];
    for (const days of [0, -400, -800, 400, -400]) {
      clock.set(days * DAY_MS);
      fences.push(await fenceOf(bench.start(['uno', 'sh', '-c', 'echo $SAI_DEVICE_FENCE'], clock.env)));
    }
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
  });

  test('back to an instant at which another lease began ends nothing of that one', async () => {
    await using bench = new Bench({}, { type: 'due' });
    const stopped = bench.file('stopped.cjs');
    writeFileSync(stopped, 'Date.now = () => 1_700_000_000_000;');
    const env = { NODE_OPTIONS: `--require ${stopped}` };
    const [killed, other] = ['uno', 'due'].map((type) => bench.start([type, ...HOLD], env));
    await Promise.all([killed?.prints(/up/), other?.prints(/up/)]);
    killed?.kill('SIGKILL');
    expect((await bench.run(['uno', 'echo', 'ran'])).stdout).toBe('ran\n');
    other?.closeInput();
    expect(await other?.ended).toMatchObject({ status: 5, signal: null });
  });

  test.each([
    ['forwards', 400 * DAY_MS],
    ['backwards', -400 * DAY_MS],
  ])('%s neither ends a lease or a wait, nor makes one longer', async (_direction, offsetMs) => {
    await using bench = new Bench();
    const clock = new SetClock(bench);
    const holder = bench.start(['--max-lease', '8h', 'uno', ...HOLD], clock.env);
    await holder.prints(/up/);
    const waiter = bench.start(['--wait', '2h', 'uno', 'echo', 'ran'], clock.env);
    await waiter.says(/position 1/);
    clock.set(offsetMs);
    // These two would hang, or come at once, if they asked the wall clock; they see the jump while they wait.
    const impatient = bench.start(['--wait', '600ms', 'uno', 'true'], clock.env);
    await impatient.says(/position 2/);
    clock.set(2 * offsetMs);
    expect(await impatient.ended).toMatchObject({ status: 75 });
    holder.type('\n');
    expect(await holder.ended).toMatchObject({ status: 5 });
    expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'ran\n' });
    const long = bench.start(
      ['--max-lease', '600ms', 'uno', 'sh', '-c', 'echo up; exec sleep 1000'],
      clock.env,
    );
    await long.prints(/up/);
    clock.set(-offsetMs);
    expect(await long.ended).toMatchObject({ status: 75 });
    expect(isTtyFree(bench.board.ttyPath)).toBe(true);
    expect(bench.leftBehind()).toEqual([]);
  });
});
