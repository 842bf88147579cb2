import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readProcessEnvironment, readProcessTable, withDescendants } from '../../src/base/process-table.ts';
import { Bench, guardsOf, SAI_DEVICE, type Started } from '../peers/bench.ts';
import { Foreigner, Go, guardOf, heldPlaces, isLocked, isRunning, lockerOf } from '../peers/onlookers.ts';
import { Port } from '../peers/port.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { until } from '../until.ts';

const TOOL = `${process.execPath} ${SAI_DEVICE} --tool`;

const inside = (script: string): string[] => ['uno', 'sh', '-c', script];

const pidIn = (stdout: string): number => Number(/pid (\d+)/.exec(stdout)?.[1]);

/** A lease in which a tool runs that says its pid, and the pid of the sai-device --tool. */
async function lentIn(
  bench: Bench,
  tool = 'exec sleep 1000',
): Promise<{ started: Started; wrapper: number; command: number }> {
  const script = `${TOOL} sh -c 'echo wrapper $PPID pid $$; ${tool}'; echo status $?; cat`;
  const started = bench.start(['-v', '--grace', '200ms', ...inside(script)]);
  await started.prints(/wrapper \d+ pid \d+\n/);
  const { stdout } = started;
  return { started, wrapper: Number(/wrapper (\d+)/.exec(stdout)?.[1]), command: pidIn(stdout) };
}

describe('killed by SIGKILL while a tty is lent', () => {
  test('the holder: the guard ends the tool, then lets go', async () => {
    await using bench = new Bench();
    const { started, command } = await lentIn(bench);
    started.kill('SIGKILL');
    await started.ended;
    await until(() => heldPlaces(bench).length === 0, 'the lease is over');
    expect(isRunning(command)).toBe(false);
    expect(bench.leftBehind()).toEqual([]);
    expect((await bench.run(['uno', 'true'])).status).toBe(0);
  });

  test('the guard: another stands in, and has the lock when it is taken again', async () => {
    await using bench = new Bench();
    const { ttyPath } = bench.board;
    const { started, command } = await lentIn(bench);
    process.kill(await guardOf(started), 'SIGKILL');
    await started.says(/started another/);
    process.kill(command, 'SIGTERM');
    await started.prints(/status 143/);
    const guard = await guardOf(started);
    process.kill(guard, 'SIGSTOP');
    started.kill('SIGKILL');
    await until(() => !isRunning(started.pid), 'the holder is gone');
    expect(isLocked(ttyPath)).toBe(true);
    process.kill(guard, 'SIGCONT');
    await until(() => !isLocked(ttyPath), 'the guard has let go');
    await started.ended;
  });

  test('the tool: its status says so, and the tty is locked again', async () => {
    await using bench = new Bench();
    const { started, command } = await lentIn(bench);
    process.kill(command, 'SIGKILL');
    await started.prints(/status 137/);
    expect(isLocked(bench.board.ttyPath)).toBe(true);
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('sai-device --tool: the tty is locked again at once when the tool has no lock', async () => {
    await using bench = new Bench();
    const { started, wrapper } = await lentIn(bench);
    process.kill(wrapper, 'SIGKILL');
    await started.prints(/status 137/);
    await until(() => isLocked(bench.board.ttyPath), 'the tty is locked again');
    started.closeInput();
    expect((await started.ended).status).toBe(0);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('sai-device --tool: the tty is locked again as soon as the tool lets go', async () => {
    await using bench = new Bench();
    const go = new Go(bench);
    const { ttyPath } = bench.board;
    const { started, wrapper } = await lentIn(bench, `flock -n ${ttyPath} sh -c "echo locked; ${go.wait}"`);
    await started.prints(/locked/);
    process.kill(wrapper, 'SIGKILL');
    await started.says(/waiting for process \d+ \(flock -n .*\) of this lease/);
    go.say();
    const lockedByUs = (): boolean => lockerOf(ttyPath) === started.pid;
    await until(lockedByUs, 'the tty is locked again');
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });
});

describe('killed by SIGKILL while a lent tty is away', () => {
  /** A lease in which a tool runs, and whose tty has gone. */
  async function awayIn(
    bench: Bench,
    port: Port,
  ): Promise<{ started: Started; wrapper: number; command: number }> {
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [port.path] }] });
    const lent = await lentIn(bench);
    port.unplug();
    await lent.started.says(/went away/);
    return lent;
  }

  test.each(['guard', 'sai-device --tool', 'tool'])(
    'the %s: the tty is locked once it is back',
    async (victim) => {
      await using bench = new Bench();
      using port = new Port(bench.file('port'));
      const { started, wrapper, command } = await awayIn(bench, port);
      if (victim === 'guard') {
        process.kill(await guardOf(started), 'SIGKILL');
        await started.says(/started another/);
        process.kill(command, 'SIGTERM');
      } else {
        process.kill(victim === 'tool' ? command : wrapper, 'SIGKILL');
      }
      if (victim === 'sai-device --tool') await started.prints(/status 137/);
      const board = port.plugIn();
      await started.prints(/status (?:137|143)/);
      await until(() => isLocked(board.ttyPath), 'the tty is locked again');
      started.closeInput();
      expect((await started.ended).status).toBe(0);
      expect(bench.leftBehind()).toEqual([]);
    },
  );

  test('the holder: the guard ends the tool, then lets go', async () => {
    await using bench = new Bench();
    using port = new Port(bench.file('port'));
    const { started, command } = await awayIn(bench, port);
    started.kill('SIGKILL');
    await started.ended;
    await until(() => heldPlaces(bench).length === 0, 'the lease is over');
    expect(isRunning(command)).toBe(false);
    port.plugIn();
    expect((await bench.run(['uno', 'true'])).status).toBe(0);
    expect(bench.leftBehind()).toEqual([]);
  });
});

describe('killed by SIGKILL in the gap', () => {
  /** A lease whose tool has ended, and whose tty a foreigner has. */
  async function gapIn(bench: Bench): Promise<{ started: Started; wrapper: number; other: Foreigner }> {
    const { ttyPath } = bench.board;
    const go = new Go(bench);
    const tool = new Go(bench, 'tool');
    const script = `echo up; ${go.wait}; ${TOOL} sh -c 'echo wrapper $PPID; ${tool.wait}'; echo status $?; cat`;
    const started = bench.start(['-v', ...inside(script)]);
    await started.prints(/up/);
    const other = new Foreigner(ttyPath);
    go.say();
    await Promise.all([other.hasLock, started.prints(/wrapper \d+\n/)]);
    tool.say();
    return { started, wrapper: Number(/wrapper (\d+)/.exec(started.stdout)?.[1]), other };
  }

  test('the holder: the guard ends the command, and the foreigner keeps what it has', async () => {
    await using bench = new Bench();
    const { started, wrapper, other } = await gapIn(bench);
    started.kill('SIGKILL');
    await started.ended;
    await until(() => heldPlaces(bench).length === 0, 'the lease is over');
    expect(isRunning(wrapper)).toBe(false);
    expect(isLocked(bench.board.ttyPath)).toBe(true);
    await other[Symbol.asyncDispose]();
    expect((await bench.run(['uno', 'true'])).status).toBe(0);
    expect(bench.leftBehind()).toEqual([]);
  });

  test.each(['guard', 'sai-device --tool'])(
    'the %s: the tty is locked again all the same',
    async (victim) => {
      await using bench = new Bench();
      const { ttyPath } = bench.board;
      const { started, wrapper, other } = await gapIn(bench);
      if (victim === 'guard') process.kill(await guardOf(started), 'SIGKILL');
      else process.kill(wrapper, 'SIGKILL');
      await other[Symbol.asyncDispose]();
      await started.prints(/status/);
      await until(() => lockerOf(ttyPath) === started.pid, 'the tty is locked again');
      await until(() => guardsOf(started.pid).length === 1, 'a guard is there');
      started.closeInput();
      expect((await started.ended).status).toBe(0);
    },
  );
});

describe('a sai-device that is stopped while a tool asks for its ttys', () => {
  test('lends them once it goes on; until then the tool says for whom it waits', async () => {
    await using bench = new Bench();
    const go = new Go(bench);
    const started = bench.start(inside(`echo up; ${go.wait}; ${TOOL} echo ran; cat`));
    await started.prints(/up/);
    started.kill('SIGSTOP');
    go.say();
    await started.says(
      new RegExp(`waiting for the sai-device that holds uno1 \\(pid ${started.pid}\\) to lend its ttys`),
    );
    started.kill('SIGCONT');
    await started.prints(/ran/);
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('is given up after the time that the tool waits, and keeps its locks', async () => {
    await using bench = new Bench();
    const go = new Go(bench);
    const started = bench.start(
      inside(`echo up; ${go.wait}; ${TOOL} --no-wait echo ran; echo status $?; cat`),
    );
    await started.prints(/up/);
    started.kill('SIGSTOP');
    go.say();
    await started.prints(/status 69/);
    await started.says(/does not answer after 2 s; has it been stopped\?/);
    expect(isLocked(bench.board.ttyPath)).toBe(true);
    started.kill('SIGCONT');
    started.closeInput();
    expect(await started.ended).toMatchObject({ status: 0, stdout: 'up\nstatus 69\n' });
  });
});

describe('killed by SIGKILL at any moment while tools come and go', () => {
  const ROUNDS = 4;

  /** Processes of any lease of a bench; neither zombies nor guards. */
  function ofLeases(bench: Bench): number[] {
    const mark = `SAI_DEVICE_LEASE=${join(bench.runDir, 'leases')}/`;
    return readProcessTable()
      .filter(({ pid }) => readProcessEnvironment(pid).some((entry) => entry.startsWith(mark)))
      .filter(({ pid }) => isRunning(pid))
      .map(({ pid }) => pid);
  }

  function victimIn(started: Started, kind: string): number | undefined {
    if (kind === 'holder') return started.pid;
    const guards = guardsOf(started.pid);
    if (kind === 'guard') return guards[0];
    const tree = withDescendants(readProcessTable(), [started.pid]);
    const others = tree.map(({ pid }) => pid).filter((pid) => pid !== started.pid && !guards.includes(pid));
    return others[random.pick([1, 2, 3])];
  }

  const random = seededRandom();

  test.each(['holder', 'guard', 'one of the command'])('the %s: nothing outlives the lease', async (kind) => {
    await using bench = new Bench();
    for (let round = 0; round < ROUNDS; round++) {
      const script = `echo up; while :; do ${TOOL} flock -n $SAI_DEVICE_TTY0 sleep 0.05; done`;
      const started = bench.start(['--grace', '200ms', ...inside(script)]);
      await started.prints(/up/);
      await random.pause(600);
      const victim = victimIn(started, kind);
      // Never 0: that would be the tests' own group. Tools are short: what was found may have ended.
      if (victim && isRunning(victim)) process.kill(victim, 'SIGKILL');
      if (kind !== 'holder') {
        await random.pause(300);
        started.kill('SIGTERM');
      }
      await started.ended;
      await until(() => heldPlaces(bench).length === 0, 'the lease is over');
      expect({ seed: random.seed, alive: ofLeases(bench) }).toEqual({ seed: random.seed, alive: [] });
    }
    expect(isLocked(bench.board.ttyPath)).toBe(false);
    expect((await bench.run(['--no-wait', 'uno', 'true'])).status).toBe(0);
    expect(readdirSync(join(bench.runDir, 'leases'))).toEqual([]);
  });
});
