/** sai-device processes that want one device, and what strikes them, wherever they are in a lease's life. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readProcessEnvironment, readProcessTable, withDescendants } from '../../src/base/process-table.ts';
import { until } from '../until.ts';
import { Bench, commandLineOf, guardOf, guardsOf, type Started } from './bench.ts';
import { LeaseObserver, OVERLAP, TOLD, witnessed } from './lease-observer.ts';
import type { SeededRandom } from './seeded-random.ts';

export const VICTIMS = ['holder', 'guard', 'child', 'waiter'] as const;

/**
 * `starting`: the lease is written down, its command is not up yet. `ending`: the command has ended, and what it left
 * does not obey. `releasing`: nothing of the command lives any more, the holder does.
 */
export const STAGES = ['starting', 'running', 'ending', 'releasing'] as const;

export interface Strike {
  readonly victim: (typeof VICTIMS)[number];
  readonly stage: (typeof STAGES)[number];
}

/** Most of each stage; what counts is the stage that a look just before the strike finds. */
const PAUSE_AT_MOST_MS: Record<Strike['stage'], number> = {
  starting: 8,
  running: 20,
  ending: 60,
  releasing: 8,
};

const STOPPED_AT_MOST_MS = 40;

/** SIGKILL most of the time. */
const SIGNALS: readonly NodeJS.Signals[] = [
  ...Array<NodeJS.Signals>(8).fill('SIGKILL'),
  'SIGTERM',
  'SIGINT',
  'SIGHUP',
  'SIGSTOP',
];

/** What a member may end with: that of its command, killed or not, or 128 + the signal that it got. */
const STATUSES: readonly (number | null)[] = [0, 129, 130, 137, 143];
const END_SIGNALS: readonly (NodeJS.Signals | null)[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'];

const SIZE = 3;

const LOOK_FOR_HOLDER_MS = 1;
const PATIENCE_MS = 20_000;

/** One has the device, or is about to; the others wait for it. */
export class Crowd implements AsyncDisposable {
  /** What ended as nothing of it may end. */
  readonly faults: string[] = [];
  readonly #bench = new Bench();
  readonly #witness = this.#bench.file('witness');
  readonly #observer = new LeaseObserver(this.#bench.board.ttyPath, this.#witness);
  readonly #random: SeededRandom;
  readonly #told = new Set<Started>();
  #members: readonly Started[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /**
   * What was hit, and when; undefined when the stage had passed, or nobody was there to be hit.
   *
   * @throws when a command lives while the device is free, or nobody takes it
   */
  async suffer(wanted: Strike): Promise<Strike | undefined> {
    while (this.#members.length < SIZE) this.#members = [...this.#members, this.#start()];
    const holder = await this.#holderAt(wanted.stage);
    await this.#random.pause(PAUSE_AT_MOST_MS[wanted.stage]);
    const stage = this.#stageOf(holder);
    const waiter = this.#random.pick(this.#members.filter((each) => each !== holder));
    const pid = stage && this.#pidOf(wanted.victim, holder, waiter);
    const signal = this.#random.pick(SIGNALS);
    const isUnborn = wanted.victim === 'child' && pid !== undefined && isGuardOrUnborn(pid, holder.pid);
    const isHit = pid !== undefined && signalIfThere(pid, signal);
    if (isHit && isUnborn) {
      signalIfThere(pid, 'SIGCONT');
      await this.#recovers(holder);
    } else if (isHit)
      await this.#outlast(wanted.victim, { pid, signal }, wanted.victim === 'waiter' ? waiter : holder);
    if (this.#members.includes(holder) && this.#told.has(holder)) await this.#bury(holder);
    return isHit && stage && !isUnborn ? { victim: wanted.victim, stage } : undefined;
  }

  /** Everybody goes home; then the device is free, and the next one gets it. */
  async disperse(): Promise<void> {
    for (const each of this.#members) each.kill('SIGTERM');
    for (const each of this.#members) await this.#bury(each);
    const next = await this.#bench.run(['uno', ...witnessed(this.#witness, ['echo', 'ran'])]);
    if (next.status !== 0 || next.stdout !== 'ran\n') this.faults.push(`the next: ${JSON.stringify(next)}`);
    await until(() => this.#observer.look(), 'the observer sees the device free');
    this.faults.push(...this.#observer.violations);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#observer[Symbol.dispose]();
    // After a failure: what outlived its lease keeps the output of a member open.
    for (const pid of processesUnder(`SAI_RUN_DIR=${this.#bench.runDir}`)) signalIfThere(pid, 'SIGKILL');
    await this.#bench[Symbol.asyncDispose]();
  }

  #start(): Started {
    return this.#bench.start(['--grace', '100ms', 'uno', ...witnessed(this.#witness, ['sh', '-c', TOLD])]);
  }

  async #holderAt(stage: Strike['stage']): Promise<Started> {
    let holder = await this.#holder();
    if (stage === 'starting') {
      if (holder.hasPrinted(/up/)) {
        this.#tell(holder, 'plain');
        await this.#bury(holder);
        holder = await this.#holder();
      }
      return holder;
    }
    await holder.prints(/up/);
    if (stage === 'running') return holder;
    this.#tell(holder, stage === 'ending' ? 'stray' : 'plain');
    await holder.prints(/down/);
    return holder;
  }

  /** Whom the lease file names; looked for often, because the first stage is short. */
  async #holder(): Promise<Started> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const pid = recordedHolderPid(this.#bench);
      const holder = this.#members.find((each) => each.pid === pid && !each.hasEnded);
      if (holder) return holder;
      if (performance.now() > deadline) throw new Error('waited in vain for one to take the device');
      await delay(LOOK_FOR_HOLDER_MS);
    }
  }

  #tell(holder: Started, how: 'plain' | 'stray'): void {
    this.#told.add(holder);
    holder.type(`${how}\n`);
  }

  #stageOf(holder: Started): Strike['stage'] | undefined {
    if (holder.hasEnded) return undefined;
    if (!holder.hasPrinted(/up/)) return 'starting';
    if (!holder.hasPrinted(/down/)) return 'running';
    return commandOf(holder).length > 0 ? 'ending' : 'releasing';
  }

  #pidOf(victim: Strike['victim'], holder: Started, waiter: Started): number | undefined {
    switch (victim) {
      case 'holder':
        return holder.pid;
      case 'waiter':
        return waiter.hasEnded ? undefined : waiter.pid;
      case 'guard':
        return guardOf(holder.pid);
      case 'child': {
        const pids = commandOf(holder);
        return pids.length > 0 ? this.#random.pick(pids) : undefined;
      }
    }
  }

  async #outlast(victim: Strike['victim'], { pid, signal }: Blow, member: Started): Promise<void> {
    if (signal === 'SIGSTOP') {
      await this.#random.pause(STOPPED_AT_MOST_MS);
      signalIfThere(pid, 'SIGCONT');
    } else if (victim === 'guard') {
      await this.#recovers(member, signal === 'SIGKILL' ? pid : undefined);
    } else {
      await this.#bury(member);
    }
  }

  /** Nothing is promised to who loses holder and guard at once: the next strike waits for a guard that lives. */
  async #recovers(holder: Started, lostGuard?: number): Promise<void> {
    const isWhole = (): boolean => {
      const guard = guardOf(holder.pid);
      return guard !== undefined && guard !== lostGuard && obeysNoTerm(guard) && holder.hasPrinted(/up/);
    };
    await until(() => holder.hasEnded || isWhole(), 'a guard stands in');
    if (holder.hasEnded) await this.#bury(holder);
  }

  async #bury(member: Started): Promise<void> {
    const ended = await Promise.race([member.ended, this.#observer.violation]);
    const { status, signal, stderr } = ended;
    const isFine = status === null ? END_SIGNALS.includes(signal) : STATUSES.includes(status);
    if (!isFine || status === OVERLAP || /bug/.test(stderr)) this.faults.push(JSON.stringify(ended));
    this.#members = this.#members.filter((each) => each !== member);
  }
}

/** Pids of those that have this entry in their environment. */
function processesUnder(entry: string): number[] {
  return readProcessTable()
    .filter(({ pid }) => readProcessEnvironment(pid).includes(entry))
    .map(({ pid }) => pid);
}

/** Between fork and exec nobody can tell child from guard; so a look before is not enough. */
export function isGuardOrUnborn(pid: number, holderPid: number): boolean {
  return commandLineOf(pid) === commandLineOf(holderPid) || guardsOf(holderPid).includes(pid);
}

export function commandOf(holder: Started): number[] {
  const guard = guardOf(holder.pid);
  return withDescendants(readProcessTable(), [holder.pid])
    .filter(({ pid, state }) => pid !== holder.pid && pid !== guard && state !== 'Z')
    .map(({ pid }) => pid);
}

/** Whom the lease file of a bench of one board names; undefined while nobody has it. */
export function recordedHolderPid(bench: Bench): number | undefined {
  try {
    const file = readdirSync(bench.runDir).find((name) => name.endsWith('.lease'));
    const text = readFileSync(join(bench.runDir, file ?? ''), 'utf8');
    const { holderPid, releasedAtMs } = JSON.parse(text) as { holderPid: number; releasedAtMs?: number };
    return releasedAtMs === undefined ? holderPid : undefined;
  } catch {
    return undefined; // nobody has taken it yet
  }
}

interface Blow {
  readonly pid: number;
  readonly signal: NodeJS.Signals;
}

/** False when it has ended meanwhile. */
function signalIfThere(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Whether it catches SIGTERM by now: before, it dies of one. Source: proc(5), /proc/pid/status. */
function obeysNoTerm(pid: number): boolean {
  try {
    const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
    return (BigInt(`0x${mask}`) & (1n << 14n)) !== 0n;
  } catch {
    return false; // ended meanwhile
  }
}
