/** The processes of a lease, and how they are ended. Shared by the holder and by the guard. */

import { setTimeout as delay } from 'node:timers/promises';
import { errnoCode } from '../base/errors.ts';
import {
  type ProcessInfo,
  readInheritedMark,
  readProcess,
  readProcessEnvironment,
  readProcessTable,
  withDescendants,
} from '../base/process-table.ts';
import { ENV } from '../wire/env.ts';

/** In the environment of a guard, which is nobody's to end but its own. */
export const GUARD_VARIABLE = 'SAI_DEVICE_GUARD';

/** In the environment of a command: the pid of the sai-device that passes signals on to it and all it starts. */
export const RELAY_VARIABLE = 'SAI_DEVICE_RELAY';

/** A stray process that leaves its parents between two looks is seen by the next one. */
const FIRST_LOOK_MS = 5;
const LATER_LOOK_MS = 100;

/** A process for ever, also when its pid is given to another. */
export interface KnownProcess {
  readonly pid: number;
  readonly startTicks: number;
}

/** Undefined when it has gone already. */
export function knownProcess(pid: number): KnownProcess | undefined {
  const found = readProcess(pid);
  return found && { pid, startTicks: found.startTicks };
}

/** By what a process shows that it belongs to a lease. */
interface LeaseMark {
  /** An entry of its environment, `NAME=value`: lost by `env -i`, kept through `ssh` and into containers. */
  readonly variable: string;
  /** What it inherited from `sai-device`: lost by nothing. A program's own children have none. */
  readonly inherited: number | undefined;
}

export function markOf(folder: string, inherited: number | undefined): LeaseMark {
  return { variable: `${ENV.deviceLease}=${folder}`, inherited };
}

/**
 * A number that no other lease of this host has. Not the fence: leases of two devices may have the same one. Larger than
 * what anybody limits anything to, and exact as a number of JavaScript.
 */
export function newInheritedMark(): number {
  return Math.floor((1 + Math.random()) * 2 ** 52);
}

/**
 * Finds a lease's processes without being their parent: what descends from a process that it knows, what bears the
 * lease's mark, and the sessions that one of these leads. What it has seen once, it knows.
 */
export class ProcessTree {
  readonly #mark: LeaseMark;
  readonly #sinceTicks: number;
  readonly #known = new Map<number, number>();

  /** Older processes than `sinceTicks` cannot bear the mark. */
  constructor(mark: LeaseMark, sinceTicks: number) {
    this.#mark = mark;
    this.#sinceTicks = sinceTicks;
  }

  know(process: KnownProcess): void {
    this.#known.set(process.pid, process.startTicks);
  }

  /** Every living member; zombies are not. */
  scan(): ProcessInfo[] {
    const table = readProcessTable();
    const leaders = this.#leadersOf(table);
    const roots = table
      .filter(
        (each) =>
          this.#known.get(each.pid) === each.startTicks || leaders.has(each.sid) || this.#isMarked(each),
      )
      .map((each) => each.pid);
    const members = withDescendants(table, roots).filter((each) => isMember(each));
    for (const member of members) this.know(member);
    return members;
  }

  /** Known pids that lead a session; a pid that now belongs to a stranger does not count. */
  #leadersOf(table: readonly ProcessInfo[]): Set<number> {
    const strangers = table.filter(
      (each) => (this.#known.get(each.pid) ?? each.startTicks) !== each.startTicks,
    );
    const leaders = new Set(this.#known.keys());
    for (const { pid } of strangers) leaders.delete(pid);
    return leaders;
  }

  #isMarked(process: ProcessInfo): boolean {
    if (process.startTicks < this.#sinceTicks) return false;
    const { variable, inherited } = this.#mark;
    const hasInherited = inherited !== undefined && readInheritedMark(process.pid) === inherited;
    return hasInherited || readProcessEnvironment(process.pid).includes(variable);
  }
}

/** The pid of a guard that somebody has stopped: only SIGCONT lets it, and the lease of its killed holder, end. */
export function stoppedGuardOf(holderPid: number): number | undefined {
  const entry = `${GUARD_VARIABLE}=${holderPid}`;
  const stopped = readProcessTable().filter(({ state }) => state === 'T');
  return stopped.find(({ pid }) => readProcessEnvironment(pid).includes(entry))?.pid;
}

/** Processes and their descendants, without this process, guards and zombies. */
export function livingTrees(roots: Iterable<number>): ProcessInfo[] {
  return withDescendants(readProcessTable(), roots).filter((each) => isMember(each));
}

function isMember(each: ProcessInfo): boolean {
  if (each.state === 'Z' || each.pid === process.pid) return false;
  return !readProcessEnvironment(each.pid).some((entry) => entry.startsWith(`${GUARD_VARIABLE}=`));
}

/** Without those to whom a sai-device among `members` passes signals on: they would hear each one twice. */
export function withoutRelayed(members: readonly ProcessInfo[]): ProcessInfo[] {
  const relays = new Set(members.map(({ pid }) => `${RELAY_VARIABLE}=${pid}`));
  return members.filter(({ pid }) => !readProcessEnvironment(pid).some((entry) => relays.has(entry)));
}

/** Sends `signal` to each; those that ended meanwhile do not matter. The pids that may not be signalled. */
export function signalEach(processes: readonly KnownProcess[], signal: NodeJS.Signals): number[] {
  return processes.filter((each) => !sendSignal(each, signal)).map((each) => each.pid);
}

function sendSignal(target: KnownProcess, signal: NodeJS.Signals): boolean {
  try {
    // The pid may have been given away since the scan.
    if (readProcess(target.pid)?.startTicks === target.startTicks) process.kill(target.pid, signal);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'ESRCH') return true;
    if (errnoCode(error) === 'EPERM') return false;
    throw error;
  }
}

export interface EndTreeOptions {
  readonly scan: () => readonly ProcessInfo[];
  /** From TERM to KILL. */
  readonly graceMs: number;
  /** Between the two empty looks, for what neither of them could have seen yet. */
  readonly settleMs?: number;
  /** Once aborted, KILL at once. */
  readonly hurry?: AbortSignal;
  /** Told once about processes that may not be signalled: they are waited for. */
  readonly onForbidden?: (pids: readonly number[]) => void;
}

/**
 * Ends every process that `scan` finds: TERM, after the grace KILL, until two looks in a row find nobody, because a
 * look at a tree that forks meanwhile can miss one. Most have no parent here that would hear of their end: so it looks.
 */
export async function endTree(options: EndTreeOptions): Promise<void> {
  const { scan, graceMs, settleMs = FIRST_LOOK_MS, hurry, onForbidden } = options;
  const killAtMs = performance.now() + graceMs;
  const told = new Set<string>();
  let emptyLooks = 0;
  let pauseMs = FIRST_LOOK_MS;
  let hasComplained = false;
  for (;;) {
    const members = scan();
    emptyLooks = members.length === 0 ? emptyLooks + 1 : 0;
    if (emptyLooks === 2) return;
    const isOver = hurry?.aborted || performance.now() >= killAtMs;
    const forbidden = isOver ? signalEach(members, 'SIGKILL') : terminateNew(members, told);
    if (forbidden.length > 0 && !hasComplained) {
      hasComplained = true;
      onForbidden?.(forbidden);
    }
    await delay(emptyLooks > 0 ? settleMs : pauseMs);
    pauseMs = Math.min(pauseMs * 2, LATER_LOOK_MS);
  }
}

/** A stopped process hears TERM only once it continues. */
function terminateNew(members: readonly ProcessInfo[], told: Set<string>): number[] {
  const fresh = members.filter(({ pid, startTicks }) => !told.has(`${pid}:${startTicks}`));
  for (const { pid, startTicks } of fresh) told.add(`${pid}:${startTicks}`);
  const forbidden = signalEach(fresh, 'SIGTERM');
  signalEach(fresh, 'SIGCONT');
  return forbidden;
}
