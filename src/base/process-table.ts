/** What /proc says about the processes of this host: who descends from whom. */

import { readdirSync, readFileSync } from 'node:fs';
import { errnoCode } from './errors.ts';

/** One process as /proc shows it. `pid` alone may be reused; with `startTicks` it names one process for ever. */
export interface ProcessInfo {
  readonly pid: number;
  readonly ppid: number;
  /** Process group id. */
  readonly pgid: number;
  /** Session id. */
  readonly sid: number;
  /** The process group in the foreground of its terminal; -1 without a terminal. */
  readonly foregroundPgid: number;
  /** One letter; `Z` is a zombie, `T` stopped. Source: proc(5). */
  readonly state: string;
  /** Clock ticks after boot. */
  readonly startTicks: number;
  /** First 15 bytes of the program's name. */
  readonly name: string;
}

/** Undefined when there is no such process, or none that this one may see (`hidepid`). */
export function readProcess(pid: number): ProcessInfo | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
  // The name is in parentheses and may hold anything, also parentheses. Source: proc(5), /proc/pid/stat.
  const nameEnd = stat.lastIndexOf(')');
  const fields = stat.slice(nameEnd + 2).split(' ');
  return {
    pid,
    name: stat.slice(stat.indexOf('(') + 1, nameEnd),
    state: fields[0] ?? '?',
    ppid: Number(fields[1]),
    pgid: Number(fields[2]),
    sid: Number(fields[3]),
    foregroundPgid: Number(fields[5]),
    startTicks: Number(fields[19]),
  };
}

/** All processes that this process may see, at one moment as far as /proc can give one. */
export function readProcessTable(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((process) => process !== undefined);
}

/** `roots` that are in the table, and every descendant of one. */
export function withDescendants(table: readonly ProcessInfo[], roots: Iterable<number>): ProcessInfo[] {
  const wanted = new Set(roots);
  const found = new Map<number, ProcessInfo>();
  let sizeBefore = -1;
  while (found.size > sizeBefore) {
    sizeBefore = found.size;
    for (const each of table) {
      if (!wanted.has(each.pid) && !found.has(each.ppid)) continue;
      found.set(each.pid, each);
    }
  }
  return [...found.values()];
}

/**
 * Direct children of a process, also zombies, without reading the whole table; or only those of its first thread, which
 * also inherits all orphans. Undefined where the kernel does not list them.
 * Source: proc(5), /proc/pid/task/tid/children; Linux kernel/exit.c, find_new_reaper.
 */
export function readChildPids(
  pid: number,
  of: 'all threads' | 'first thread' = 'all threads',
): number[] | undefined {
  try {
    const threads = of === 'all threads' ? readdirSync(`/proc/${pid}/task`) : [pid];
    return threads
      .flatMap((tid) => readFileSync(`/proc/${pid}/task/${tid}/children`, 'latin1').split(' '))
      .filter((text) => text !== '')
      .map(Number);
  } catch {
    return undefined; // no such file in this kernel, or a thread that ended meanwhile: ask the table
  }
}

/** The environment a process was started with; empty for one that is gone or belongs to somebody else. */
export function readProcessEnvironment(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return []; // gone, or not ours to look into: then it is not ours to end either
  }
}

/** What `markDescendants` of an ancestor has left; undefined without, or when it is gone. Source: proc(5), /proc/pid/limits. */
export function readInheritedMark(pid: number): number | undefined {
  try {
    const soft = /^Max file locks +(\d+) /m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined; // gone, or hidden
  }
}

/** Whether that very process still lives: neither ended, nor a zombie, nor its pid given to another. */
export function isAlive(process: { readonly pid: number; readonly startTicks: number }): boolean {
  const now = readProcess(process.pid);
  return now !== undefined && now.startTicks === process.startTicks && now.state !== 'Z';
}
