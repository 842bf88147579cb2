/** The holder's side of the guard: a small process that keeps the lease until nothing of the command lives. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { RigError } from '../base/errors.ts';
import type { DaemonPatterns } from './daemons.ts';
import { type GuardOrder, KNOWN_PER_LINE, knownLine } from './guard-order.ts';
import type { Lease } from './lease.ts';
import { GUARD_VARIABLE, type KnownProcess } from './process-tree.ts';

/** A guard that cannot live (no memory left) must not keep its holder busy for ever. */
const MAX_GUARDS = 20;

export interface GuardOptions {
  /** The program that `guard-main.ts` was built into. */
  readonly program: string;
  readonly graceMs: number;
  /** That the command will bear. */
  readonly inheritedMark?: number;
  readonly keepDaemons?: DaemonPatterns;
  /** Told when another guard had to be started. */
  readonly onReplaced?: () => void;
  /** Told when the last one ended and no other can be started. */
  readonly onLost?: () => void;
}

/**
 * Guards a lease from the moment this is made: the descriptors are inherited when the process is forked, so it holds
 * the lease before it has started. Replaced when it dies, as long as that helps. `end` it before the lease is released.
 */
export class Guard {
  readonly #lease: Lease;
  readonly #options: GuardOptions;
  readonly #known = new Map<number, KnownProcess>();
  /** Guards that another one has relieved, until they have ended. */
  readonly #relieved = new Set<ChildProcess>();
  #child: ChildProcess;
  #started = 1;
  #ending = false;

  /** @throws {RigError} blame `unavailable` when the system starts no more processes */
  constructor(lease: Lease, options: GuardOptions) {
    this.#lease = lease;
    this.#options = options;
    this.#child = this.#start();
    if (this.#child.pid === undefined) {
      throw new RigError(
        'unavailable',
        `${lease.device.name}: cannot start the guard of the lease; see ulimit -u`,
      );
    }
  }

  /** Of the guard, and of those that it has relieved and that have not ended yet. */
  get pids(): number[] {
    return [this.#child, ...this.#relieved].map(({ pid }) => pid).filter((pid) => pid !== undefined);
  }

  /**
   * Has a guard stand in that has the descriptors which the lease has now, and no other: it has them before the old one
   * is ended. False when it cannot be started; then the old one stays.
   */
  relieve(): boolean {
    if (this.#ending) return true;
    const old = this.#child;
    let relief: ChildProcess;
    try {
      relief = this.#start();
    } catch {
      return false; // no descriptor left, or no memory
    }
    if (relief.pid === undefined) return false;
    this.#child = relief;
    if (hasEnded(old)) return true;
    this.#relieved.add(old);
    old.once('exit', () => this.#relieved.delete(old));
    old.kill('SIGKILL');
    return true;
  }

  /**
   * Tells it about processes of the command that it might not find by itself: daemons that gave up their environment.
   * The first one ever is the command.
   */
  know(processes: readonly KnownProcess[]): void {
    const fresh = processes.filter((each) => this.#known.get(each.pid)?.startTicks !== each.startTicks);
    if (fresh.length === 0) return;
    for (const each of fresh) this.#known.set(each.pid, each);
    tell(this.#child, fresh);
  }

  /** Resolves once it has ended, and with it its share of the lease. */
  async end(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const ends = [this.#child, ...this.#relieved]
      .filter((child) => !hasEnded(child))
      .map(async (child) => {
        const exit = once(child, 'exit');
        child.kill('SIGKILL');
        await exit;
      });
    await Promise.all(ends);
  }

  #start(): ChildProcess {
    const { descriptors, record, runDir } = this.#lease;
    const inherited = [...descriptors.leaseFiles, ...descriptors.others];
    const numbers = inherited.map((_fd, index) => 3 + index);
    const order: GuardOrder = {
      record,
      leaseFileFds: numbers.slice(0, descriptors.leaseFiles.length),
      otherFds: numbers.slice(descriptors.leaseFiles.length),
      runDir,
      graceMs: this.#options.graceMs,
      inheritedMark: this.#options.inheritedMark,
      keepDaemons: this.#options.keepDaemons ?? [],
    };
    const child = spawn(process.execPath, [this.#options.program, JSON.stringify(order)], {
      cwd: '/',
      // Neither the lease's mark, by which it would end itself, nor NODE_OPTIONS of the command.
      env: { [GUARD_VARIABLE]: String(process.pid) },
      // Out of reach of the terminal, and of a signal to the holder's group.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore', ...inherited],
    });
    child.on('error', () => {}); // the same is seen as a missing pid
    child.stdin?.on('error', () => {}); // it ended: replaced below
    child.on('exit', () => this.#replace(child));
    tell(child, [...this.#known.values()]);
    return child;
  }

  #replace(child: ChildProcess): void {
    if (this.#ending || child !== this.#child) return;
    if (this.#started < MAX_GUARDS && this.#tryStart()) this.#options.onReplaced?.();
    else this.#options.onLost?.();
  }

  #tryStart(): boolean {
    this.#started += 1;
    try {
      this.#child = this.#start();
    } catch {
      return false; // an error here must not end the holder, whom nobody guards now
    }
    return this.#child.pid !== undefined;
  }
}

/** In lines that it takes, however long the lease and however many daemons it has seen. */
function tell(child: ChildProcess, processes: readonly KnownProcess[]): void {
  for (let first = 0; first < processes.length; first += KNOWN_PER_LINE) {
    child.stdin?.write(knownLine(processes.slice(first, first + KNOWN_PER_LINE)));
  }
}

/** Or never began. */
function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}
