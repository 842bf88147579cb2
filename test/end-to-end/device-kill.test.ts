import { expect, test } from 'vitest';
import { Bench, guardsOf } from '../peers/bench.ts';
import { Crowd, STAGES, type Strike, VICTIMS } from '../peers/crowd.ts';
import { isTtyFree, LeaseObserver, witnessed } from '../peers/lease-observer.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { until } from '../until.ts';

/** How many strikes one run affords: ten each of what can be hit at which stage, or what a lab sees in months. */
const STRIKES = process.env['SAI_TEST_REQUIRE'] === 'all' ? 2000 : 150;

/** Each has its own board; a machine of two cores has no use for more. */
const CROWDS = 3;

/** A tenth of this on an idle machine of two cores. */
const PATIENCE_MS = 60_000 + STRIKES * 500;

/** Whom one can find at each stage. */
const CELLS: readonly Strike[] = STAGES.flatMap((stage) =>
  VICTIMS.filter((victim) => stage !== 'releasing' || victim !== 'child').map((victim) => ({
    victim,
    stage,
  })),
);
const AT_LEAST_EACH = 5;

test(`through ${STRIKES} kills, at every stage, no command outlives its lease, and the queue goes on`, {
  timeout: PATIENCE_MS,
}, async () => {
  const random = seededRandom();
  const hits = new Map(CELLS.map((cell) => [nameOf(cell), 0]));
  const sum = (): number => [...hits.values()].reduce((total, each) => total + each, 0);
  /** One of those that were hit least: no stage, however short, is left out. */
  const next = (): Strike => {
    const least = Math.min(...hits.values());
    return random.pick(CELLS.filter((cell) => hits.get(nameOf(cell)) === least));
  };
  let hasFailed = false;
  const faults = await Promise.all(
    Array.from({ length: CROWDS }, async () => {
      await using crowd = new Crowd(random);
      try {
        while (sum() < STRIKES && !hasFailed) {
          const hit = await crowd.suffer(next());
          if (hit) hits.set(nameOf(hit), (hits.get(nameOf(hit)) ?? 0) + 1);
          hasFailed ||= crowd.faults.length > 0;
        }
        await crowd.disperse();
        return crowd.faults;
      } catch (error) {
        hasFailed = true;
        return [...crowd.faults, String(error)];
      }
    }),
  );
  const tally = Object.fromEntries(hits);
  process.stdout.write(`SAI_TEST_SEED=${random.seed} ${JSON.stringify(tally)}\n`);
  expect({ seed: random.seed, faults: faults.flat() }).toEqual({ seed: random.seed, faults: [] });
  expect(Math.min(...hits.values()), JSON.stringify(tally)).toBeGreaterThanOrEqual(AT_LEAST_EACH);
});

const nameOf = ({ victim, stage }: Strike): string => `${victim} ${stage}`;

test('killed at any moment of its start, sai-device leaves neither lock nor command', async () => {
  const random = seededRandom();
  await using bench = new Bench();
  const witness = bench.file('witness');
  using observer = new LeaseObserver(bench.board.ttyPath, witness);
  for (let round = 0; round < 25; round++) {
    const newborn = bench.start(['uno', ...witnessed(witness, ['sleep', '1000'])]);
    await random.pause(130);
    newborn.kill('SIGKILL');
    expect((await newborn.ended).status).toBe(null);
  }
  const next = await bench.run(['uno', ...witnessed(witness, ['echo', 'ran'])]);
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
  await until(() => isTtyFree(bench.board.ttyPath), 'the device is free');
});

test('a daemon without the mark of its lease does not outlive a killed sai-device', async () => {
  await using bench = new Bench();
  const witness = bench.file('witness');
  using observer = new LeaseObserver(bench.board.ttyPath, witness);
  const daemon = 'env -i setsid flock -n "$0" sh -c "echo daemon; sleep 1000" & sleep 1000';
  const holder = bench.start(['uno', 'sh', '-c', daemon, witness]);
  await holder.prints(/daemon/);
  holder.kill('SIGKILL');
  await holder.ended;
  expect((await bench.run(['uno', ...witnessed(witness, ['true'])])).status).toBe(0);
  expect(observer.violations).toEqual([]);
});

test('a guard that stands still keeps the lease of a killed sai-device, and whoever looks is told what ends that', async () => {
  await using bench = new Bench();
  await bench.run(['uno', 'true']); // so that there is something to guess by
  const holder = bench.start(['uno', 'sh', '-c', 'echo up; exec sleep 1000']);
  await holder.prints(/up/);
  const [guard = 0] = guardsOf(holder.pid);
  process.kill(guard, 'SIGSTOP');
  holder.kill('SIGKILL');
  const waiter = bench.start(['uno', 'echo', 'ran']);
  try {
    await waiter.says(
      new RegExp(
        `since .*, which was killed, and its guard is stopped \\(kill -CONT ${guard} ends that\\)\n`,
      ),
    );
  } finally {
    process.kill(guard, 'SIGCONT');
  }
  expect((await waiter.ended).stdout).toBe('ran\n');
  await holder.ended;
});

test('a lease that was killed with its guard is over, and its strays are listed', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', 'sh', '-c', 'echo up $$; exec sleep 1000']);
  await holder.prints(/up \d+/);
  for (const guard of guardsOf(holder.pid)) process.kill(guard, 'SIGSTOP');
  holder.kill('SIGKILL');
  for (const guard of guardsOf(bench.runDir)) process.kill(guard, 'SIGKILL');
  await until(() => isTtyFree(bench.board.ttyPath), 'the device is free');
  const { stdout } = await bench.run(['--list', '--json']);
  const [stray] = (JSON.parse(stdout) as { strays: number[] }).strays;
  expect(JSON.parse(stdout)).toEqual({
    name: 'uno1',
    type: 'uno',
    state: 'free',
    ttys: [bench.board.ttyPath],
    strays: [stray],
  });
  if (stray !== undefined) process.kill(stray, 'SIGKILL');
  expect((await holder.ended).stdout).toBe(`up ${stray}\n`);
  expect((await bench.run(['uno', 'true'])).status).toBe(0);
  expect(bench.leftBehind()).toEqual([]);
});
