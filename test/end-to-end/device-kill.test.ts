import { closeSync, constants, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readProcessTable, withDescendants } from '../../src/base/process-table.ts';
import { tryFlock, unlock } from '../../src/native/flock.ts';
import { Bench, guardsOf, type Started } from '../peers/bench.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { until } from '../until.ts';

const ROUNDS = 50;
const LOOK_EVERY_MS = 5;

/** For the 50 kills, which take a busy machine longer than any other test. */
const PATIENCE_MS = 120_000;

/** Status of a command that found another one of its kind alive. */
const OVERLAP = 99;

const VICTIMS = ['holder', 'guard', 'child', 'waiter'] as const;

/**
 * Stands outside: whenever it gets the lock of the tty, no command of a lease may live. Each command holds a witness
 * for its life, and all that it starts inherits it. While the observer looks at the witness it keeps the tty locked,
 * so no new command can begin in between.
 */
class Observer implements Disposable {
  readonly violations: string[] = [];
  looks = 0;
  readonly #ttyFd: number;
  readonly #witnessFd: number;
  readonly #timer: NodeJS.Timeout;

  constructor(ttyPath: string, witness: string) {
    this.#ttyFd = openSync(ttyPath, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    this.#witnessFd = openSync(witness, constants.O_RDONLY | constants.O_CREAT);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  #look(): void {
    if (!tryFlock(this.#ttyFd)) return;
    this.looks += 1;
    if (!tryFlock(this.#witnessFd)) {
      this.violations.push(`free while a command lives, after ${Math.round(performance.now())} ms`);
    } else {
      unlock(this.#witnessFd);
    }
    unlock(this.#ttyFd);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    closeSync(this.#ttyFd);
    closeSync(this.#witnessFd);
  }
}

/** sai-device processes that want one device: one has it, the others wait. */
class Crowd {
  readonly #bench: Bench;
  readonly #command: readonly string[];
  #members: Started[] = [];

  constructor(bench: Bench, witness: string) {
    this.#bench = bench;
    this.#command = ['flock', '-n', '-E', String(OVERLAP), witness, 'sh', '-c', 'echo up; sleep 1000'];
  }

  get holder(): Started {
    const [first] = this.#members;
    if (!first) throw new Error('the crowd is empty');
    return first;
  }

  get waiters(): readonly Started[] {
    return this.#members.slice(1);
  }

  /** Three, one of which runs its command while the others stand in the queue. */
  async fill(): Promise<void> {
    while (this.#members.length < 3) {
      const member = this.#bench.start(['--grace', '200ms', 'uno', ...this.#command]);
      await Promise.race([member.prints(/up/), member.says(/position/)]);
      this.#members.push(member);
    }
    // Usually the eldest, but a machine that is busy enough lets one be overtaken.
    const holder = await Promise.race(this.#members.map((each) => each.prints(/up/).then(() => each)));
    this.#members = [holder, ...this.#members.filter((each) => each !== holder)];
  }

  async bury(victim: Started): Promise<void> {
    const ended = await victim.ended;
    expect(ended.status).not.toBe(OVERLAP);
    this.#members = this.#members.filter((each) => each !== victim);
  }
}

/** Undefined while it is being replaced. */
const guardOf = (holder: Started): number | undefined => guardsOf(holder.pid)[0];

/** Never 0 or a missing pid: those would signal the tests' own process group. */
function kill(pid: number | undefined, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (!pid) throw new Error('there is no such process to kill');
  process.kill(pid, signal);
}

function commandOf(holder: Started): number[] {
  const guards = guardsOf(holder.pid);
  return withDescendants(readProcessTable(), [holder.pid])
    .map((each) => each.pid)
    .filter((pid) => pid !== holder.pid && !guards.includes(pid));
}

test(`through ${ROUNDS} kills no command ever outlives its lease, and the queue goes on`, {
  timeout: PATIENCE_MS,
}, async () => {
  const random = seededRandom();
  await using bench = new Bench();
  const witness = bench.file('witness');
  using observer = new Observer(bench.board.ttyPath, witness);
  const crowd = new Crowd(bench, witness);
  for (let round = 0; round < ROUNDS; round++) {
    await crowd.fill();
    const { holder, waiters } = crowd;
    // Every kind in turn, so that none is left out; who and when within a kind is up to the seed.
    switch (VICTIMS[round % VICTIMS.length]) {
      case 'holder':
        kill(holder.pid);
        await crowd.bury(holder);
        break;
      case 'guard': {
        await until(() => guardOf(holder) !== undefined, 'the holder has a guard');
        const guard = guardOf(holder);
        kill(guard);
        await until(() => ![undefined, guard].includes(guardOf(holder)), 'another guard stands in');
        break;
      }
      case 'child': {
        kill(random.pick(commandOf(holder)));
        await crowd.bury(holder);
        break;
      }
      default: {
        const waiter = random.pick(waiters);
        kill(waiter.pid);
        await crowd.bury(waiter);
      }
    }
  }
  await crowd.fill();
  const { holder, waiters } = crowd;
  for (const each of [...waiters, holder]) {
    each.kill('SIGTERM');
    await crowd.bury(each);
  }
  const next = await bench.run([
    '--no-wait',
    'uno',
    'flock',
    '-n',
    '-E',
    String(OVERLAP),
    witness,
    'echo',
    'ran',
  ]);
  await until(() => observer.looks > 0 && isFree(bench), 'the observer has seen the device free');
  expect({ seed: random.seed, violations: observer.violations, next }).toEqual({
    seed: random.seed,
    violations: [],
    next: { status: 0, signal: null, stdout: 'ran\n', stderr: '' },
  });
  expect(bench.leftBehind()).toEqual([]);
});

test('killed at any moment of its start, sai-device leaves neither lock nor command', async () => {
  const random = seededRandom();
  await using bench = new Bench();
  const witness = bench.file('witness');
  using observer = new Observer(bench.board.ttyPath, witness);
  for (let round = 0; round < 25; round++) {
    const newborn = bench.start(['uno', 'flock', '-n', '-E', String(OVERLAP), witness, 'sleep', '1000']);
    await random.pause(130);
    kill(newborn.pid);
    expect((await newborn.ended).status).toBe(null);
  }
  const next = await bench.run(['uno', 'flock', '-n', '-E', String(OVERLAP), witness, 'echo', 'ran']);
  expect({
    seed: random.seed,
    violations: observer.violations,
    status: next.status,
    stdout: next.stdout,
  }).toEqual({
    seed: random.seed,
    violations: [],
    status: 0,
    stdout: 'ran\n',
  });
  await until(() => isFree(bench), 'the device is free');
});

test('a daemon without the mark of its lease does not outlive a killed sai-device', async () => {
  await using bench = new Bench();
  const witness = bench.file('witness');
  using observer = new Observer(bench.board.ttyPath, witness);
  const daemon = 'env -i setsid flock -n "$0" sh -c "echo daemon; sleep 1000" & sleep 1000';
  const holder = bench.start(['uno', 'sh', '-c', daemon, witness]);
  await holder.prints(/daemon/);
  kill(holder.pid);
  await holder.ended;
  expect((await bench.run(['uno', 'flock', '-n', '-E', String(OVERLAP), witness, 'true'])).status).toBe(0);
  expect(observer.violations).toEqual([]);
});

test('a lease that was killed with its guard is over, and its strays are listed', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', 'sh', '-c', 'echo up $$; exec sleep 1000']);
  await holder.prints(/up \d+/);
  for (const guard of guardsOf(holder.pid)) kill(guard, 'SIGSTOP');
  kill(holder.pid);
  for (const guard of guardsOf(bench.runDir)) kill(guard);
  await until(() => isFree(bench), 'the device is free');
  const { stdout } = await bench.run(['--list', '--json']);
  const [stray] = (JSON.parse(stdout) as { strays: number[] }).strays;
  expect(JSON.parse(stdout)).toEqual({
    name: 'uno1',
    type: 'uno',
    state: 'free',
    ttys: [bench.board.ttyPath],
    strays: [stray],
  });
  kill(stray);
  expect((await holder.ended).stdout).toBe(`up ${stray}\n`);
  expect((await bench.run(['uno', 'true'])).status).toBe(0);
  expect(bench.leftBehind()).toEqual([]);
});

function isFree(bench: Bench): boolean {
  const fd = openSync(bench.board.ttyPath, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  try {
    return tryFlock(fd);
  } finally {
    closeSync(fd);
  }
}
