/** Processes that outlive a lease on purpose: `--keep-daemons adb`. Shared by the holder and by the guard. */

import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { RigError } from '../base/errors.ts';
import { type ProcessInfo, readProcess, withDescendants } from '../base/process-table.ts';

/** What somebody gave to `--keep-daemons`: names, in which `*` is any text and `?` any character. */
export type DaemonPatterns = readonly string[];

/** Until a daemon that was just forked has executed its program, it bears its parent's name. */
export const NAMED_AFTER_MS = 150;

/** @throws {RigError} blame `usage` for what can be no name of a program */
export function checkDaemonPattern(pattern: string): string {
  if (pattern !== '' && !pattern.includes('/')) return pattern;
  throw new RigError(
    'usage',
    `--keep-daemons: expected the name of a program such as adb or 'ccache*', got ${JSON.stringify(pattern)}`,
  );
}

/** Whether one of the process's names is meant: the kernel's own, that of its program, or that it calls itself by. */
export function isKept(pid: number, patterns: DaemonPatterns): boolean {
  return patterns.length > 0 && namesOf(pid).some((name) => patterns.some((each) => matches(each, name)));
}

/**
 * The members of a tree without the daemons in it and what those have started. A daemon has left its parents: what
 * still descends from the command, or is the command, is none, whatever its name. Without knowing the command, whose
 * sai-device was killed in the instant in which it started it, nothing is taken for a daemon.
 */
export function withoutDaemons(
  members: readonly ProcessInfo[],
  patterns: DaemonPatterns,
  commandPid: number | undefined,
): ProcessInfo[] {
  if (patterns.length === 0 || commandPid === undefined) return [...members];
  const pids = new Set(members.map((each) => each.pid));
  const daemons = members
    .filter((each) => each.pid !== commandPid && !pids.has(each.ppid))
    .filter((each) => isKept(each.pid, patterns));
  const kept = new Set(
    withDescendants(
      members,
      daemons.map((each) => each.pid),
    ),
  );
  return members.filter((each) => !kept.has(each));
}

function matches(pattern: string, name: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*+/g, '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(name);
}

function namesOf(pid: number): string[] {
  const names = [readProcess(pid)?.name, attempt(() => firstArgument(pid)), attempt(() => programOf(pid))];
  return names.filter((name) => name !== undefined && name !== '').map((name) => basename(String(name)));
}

function firstArgument(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0];
}

/** Source: proc(5), /proc/pid/exe: so it ends once the file was replaced by an update. */
function programOf(pid: number): string {
  return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
}

/** Undefined for a process that is gone, or another user's. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
