/** Every signal to every process of a lease at every stage: who has the device then, what came of it, what is left. */

import { readFileSync } from 'node:fs';
import { describe, test } from 'vitest';
import { isAlive } from '../../src/base/process-table.ts';
import { type KnownProcess, knownProcess } from '../../src/device/process-tree.ts';
import { readFindings } from '../../src/findings/findings-file.ts';
import { Bench, commandLineOf, guardOf, type Started } from '../peers/bench.ts';
import {
  commandOf,
  isGuardOrUnborn,
  recordedHolderPid,
  STAGES,
  type Strike,
  VICTIMS,
} from '../peers/crowd.ts';
import {
  areLeaseFilesFree,
  isTtyFree,
  LeaseObserver,
  lockKeepersOf,
  TOLD,
  witnessed,
} from '../peers/lease-observer.ts';
import { needsProgram } from '../peers/needs.ts';
import { until } from '../until.ts';

/** What ignores TERM lives that long. */
const GRACE = '500ms';

/** Ten times what the grace and an idle machine take: only a rig that waits for a time-out needs more. */
const RECOVERS_WITHIN_MS = 5000;

/** What the command of these leases ends with by itself. */
const OWN_STATUS = 5;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL', 'SIGSTOP'] as const;
type Signal = (typeof SIGNALS)[number];

interface Cell extends Strike {
  readonly signal: Signal;
}

const CELLS: readonly Cell[] = STAGES.flatMap((stage) =>
  VICTIMS.filter((victim) => stage !== 'releasing' || victim !== 'child').flatMap((victim) =>
    SIGNALS.map((signal) => ({ stage, victim, signal })),
  ),
);

const TOLD_STATUS: Record<Signal, string> = {
  SIGINT: '130',
  SIGTERM: '143',
  SIGHUP: '129',
  SIGKILL: '137',
  SIGSTOP: String(OWN_STATUS),
};

/** `status` or `signal`, of the holder: what the documentation promises. */
function endsOfHolder({ victim, signal, stage }: Cell): string[] {
  const isOver = stage === 'ending' || stage === 'releasing';
  if (victim === 'child' && !isOver) return [TOLD_STATUS[signal]];
  if (victim !== 'holder') return [String(OWN_STATUS)];
  const told = signal === 'SIGKILL' ? 'SIGKILL' : TOLD_STATUS[signal];
  // Its command has said that it ends: it may live for another moment, or all may be over.
  return isOver ? [told, String(OWN_STATUS)] : [told];
}

function endOfWaiter({ victim, signal }: Cell): string {
  if (victim !== 'waiter') return String(OWN_STATUS);
  return signal === 'SIGKILL' ? 'SIGKILL' : TOLD_STATUS[signal];
}

/** A lease with a waiter behind it, brought to a stage. */
class Scene implements AsyncDisposable {
  readonly bench = new Bench();
  readonly findings = this.bench.file('findings');
  readonly #witness = this.bench.file('witness');
  readonly observer = new LeaseObserver(this.bench.board.ttyPath, this.#witness);

  async [Symbol.asyncDispose](): Promise<void> {
    this.observer[Symbol.dispose]();
    await this.bench[Symbol.asyncDispose]();
  }

  start(): Started {
    const command = witnessed(this.#witness, ['sh', '-c', `${TOLD}; exit ${OWN_STATUS}`]);
    return this.bench.start(['--grace', GRACE, 'uno', ...command], { SAI_FINDINGS: this.findings });
  }

  /** The holder at that stage, and who waits for it. */
  async at(stage: Strike['stage']): Promise<{ readonly holder: Started; readonly waiter: Started }> {
    const former = stage === 'starting' ? this.start() : undefined;
    await former?.prints(/up/);
    const holder = this.start();
    await (former ? holder.says(/position 1/) : holder.prints(/up/));
    const waiter = this.start();
    await waiter.says(/position/);
    if (former) {
      former.type('plain\n');
      // The first of the two, but a machine that is busy enough lets one be overtaken.
      const next = (): Started | undefined =>
        [holder, waiter].find(({ pid }) => pid === recordedHolderPid(this.bench));
      await until(() => next() !== undefined, 'the next lease is written down');
      if (next() === waiter) return { holder: waiter, waiter: holder };
    } else if (stage !== 'running') {
      holder.type(stage === 'ending' ? 'stray\n' : 'plain\n');
      await holder.prints(/down/);
    }
    return { holder, waiter };
  }
}

describe.concurrent('the device comes free, and the next one gets it, when', () => {
  test.for(CELLS.map((cell) => [titleOf(cell), cell] as const))(
    '%s',
    { timeout: 60_000 },
    async ([, cell], context) => {
      const { signal, victim, stage } = cell;
      await using scene = new Scene();
      const { bench, observer } = scene;
      const { holder, waiter } = await scene.at(stage);
      const tree = await treeOf(holder, cell);
      const pid = { holder: holder.pid, waiter: waiter.pid, guard: guardOf(holder.pid), child: tree[0]?.pid }[
        victim
      ];
      if (stage === 'running') {
        context.expect(lockKeepersOf(bench).sort()).toEqual([holder.pid, guardOf(holder.pid)].sort());
      }
      signalIfThere(pid, signal);
      if (signal === 'SIGSTOP') {
        if (victim !== 'waiter' && stage !== 'releasing')
          context.expect(isTtyFree(bench.board.ttyPath)).toBe(false);
        signalIfThere(pid, 'SIGCONT');
      }
      // Both at once would be a race between its own end and that of the signal.
      const isEndedBySignal = (victim === 'holder' || victim === 'child') && signal !== 'SIGSTOP';
      if ((stage === 'starting' || stage === 'running') && !isEndedBySignal) holder.type('plain\n');
      context.expect(endsOfHolder(cell)).toContain(endOf(await holder.ended));
      if (victim !== 'waiter' || signal === 'SIGSTOP') {
        await waiter.prints(/up/);
        await until(
          () => lockKeepersOf(bench).length === 2,
          'the next one and its guard have it',
          RECOVERS_WITHIN_MS,
        );
        context.expect(lockKeepersOf(bench).sort()).toEqual([waiter.pid, guardOf(waiter.pid)].sort());
        waiter.type('plain\n');
      }
      context.expect(tree.filter((each) => isAlive(each))).toEqual([]);
      context.expect(endOf(await waiter.ended)).toBe(endOfWaiter(cell));
      await until(
        () => observer.look() && areLeaseFilesFree(bench),
        'the device is free',
        RECOVERS_WITHIN_MS,
      );
      await until(() => lockKeepersOf(bench).length === 0, 'nobody keeps a lock', RECOVERS_WITHIN_MS);
      context.expect(observer.violations).toEqual([]);
      context.expect(readFindings(scene.findings)).toEqual([]);
      // Whoever comes next clears away what the killed ones could not, unless it might be in the making.
      bench.ageLeftBehind();
      context.expect((await bench.run(['uno', 'true'])).status).toBe(0);
      context.expect(bench.leftBehind()).toEqual([]);
    },
  );
});

const titleOf = ({ signal, victim, stage }: Cell): string => `${signal} strikes the ${victim}, ${stage}`;

/** All of the command that lives at this moment. */
async function treeOf(holder: Started, { victim, stage }: Cell): Promise<KnownProcess[]> {
  const find = (): number[] => commandOf(holder).filter((pid) => !isGuardOrUnborn(pid, holder.pid));
  if (victim === 'guard')
    await until(
      () => holder.hasEnded || stage === 'releasing' || guardOf(holder.pid) !== undefined,
      'it has a guard',
    );
  if (victim === 'child') await until(() => find().length > 0, 'the command is there');
  return find()
    .map((pid) => knownProcess(pid))
    .filter((each) => each !== undefined);
}

function signalIfThere(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid) process.kill(pid, signal);
  } catch {
    // it has ended
  }
}

function endOf({ status, signal }: { status: number | null; signal: NodeJS.Signals | null }): string {
  return String(signal ?? status);
}

/** Each writes its pid, and would run for ever. */
const DAEMONS: Readonly<Record<string, string>> = {
  'has a session of its own': 'setsid sh -c "$REST" &',
  'was forked twice, into a session of its own': '(setsid sh -c "$REST" &) &',
  'ignores what asks it to end': '(trap "" TERM INT HUP; exec sh -c "$REST") &',
  'closed all descriptors': '(exec 0<&- 1>&- 2>&- 3>&- 4>&- 5>&-; exec sh -c "$REST") &',
  'gave up its environment': 'env -i setsid sh -c "$REST" &',
  'did all of this': '(trap "" TERM INT HUP; exec 0<&- 1>&- 2>&- 3>&-; (env -i setsid sh -c "$REST" &)) &',
  'is stopped': 'sh -c "echo \\$\\$ >> $PIDS; kill -STOP \\$\\$; sleep 1000" &',
  'forks for ever': '(trap "" TERM; while :; do sh -c "$REST; exit" & sleep 0.01; done) &',
};

describe.concurrent('a daemon does not keep the device, nor outlive the lease, when it', () => {
  const ends = ['the command ends', 'sai-device is told to stop', 'sai-device is killed'] as const;
  test.for(
    Object.entries(DAEMONS).flatMap(([kind, script]) => ends.map((end) => [kind, end, script] as const)),
  )('%s, and %s', { timeout: 60_000 }, async ([, end, script], { expect }) => {
    await using bench = new Bench();
    const pids = bench.file('pids');
    const rest = `echo \\$\\$ >> ${pids}; exec sleep 1000`;
    const command = `PIDS=${pids}; REST="${rest}"; ${script} while ! [ -s ${pids} ]; do :; done; echo up; read -r how; exit 5`;
    const holder = bench.start(['--grace', '200ms', 'uno', 'sh', '-c', command]);
    await holder.prints(/up/);
    expect(lockKeepersOf(bench).sort()).toEqual([holder.pid, guardOf(holder.pid)].sort());
    if (end === 'the command ends') holder.type('\n');
    else if (end === 'sai-device is told to stop') holder.kill('SIGTERM');
    else {
      holder.kill('SIGKILL');
    }
    const expected = {
      'the command ends': '5',
      'sai-device is told to stop': '143',
      'sai-device is killed': 'SIGKILL',
    };
    expect(endOf(await holder.ended)).toBe(expected[end]);
    const next = await bench.run(['uno', 'echo', 'ran']);
    expect(next).toMatchObject({ status: 0, stdout: 'ran\n' });
    const daemons = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    // A pid can have been given away by now; the next lease began after all of them had ended.
    expect(daemons.filter((pid) => commandLineOf(pid).includes('sleep\u00001000\u0000'))).toEqual([]);
    expect(isTtyFree(bench.board.ttyPath) && areLeaseFilesFree(bench)).toBe(true);
    expect(bench.leftBehind()).toEqual([]);
  });
});

test('whatever sai-device opens, it opens so that a child started at that moment does not get it', async (context) => {
  needsProgram(context, 'strace');
  await using bench = new Bench();
  const holder = bench.start(['uno', 'sh', '-c', 'echo up; read -r how']);
  await holder.prints(/up/);
  // A waiter, whose turn comes: it also watches the queue and draws a ticket.
  const trace = bench.file('trace');
  const calls =
    'open,openat,creat,socket,socketpair,accept4,pipe,pipe2,epoll_create,epoll_create1,eventfd,eventfd2,inotify_init,inotify_init1,dup,dup2,dup3';
  const waiter = bench.start(['uno', 'true'], {}, ['strace', '-qq', `--trace=${calls}`, `--output=${trace}`]);
  await waiter.says(/position 1/);
  holder.closeInput();
  context.expect(await waiter.ended).toMatchObject({ status: 0 });
  // Without -f it is the main thread alone, not a child before its exec; C is called there, and nowhere else. Node
  // reads files of the machine (openssl.cnf, its own maps) without the flag, and closes them before it does anything.
  const opened = readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => / = \d+$/.test(line) && !/"\/(?:etc|usr|proc\/self)\/[^"]*", O_RDONLY\)/.test(line));
  for (const kind of [bench.board.ttyPath, '.lease"', '/queue/', 'inotify_init']) {
    context.expect(opened.filter((line) => line.includes(kind))).not.toEqual([]);
  }
  context.expect(opened.filter((line) => !line.includes('_CLOEXEC'))).toEqual([]);
});
