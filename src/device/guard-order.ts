/** What the holder tells its guard: once as argument, and line by line which processes are the command's. */

import type { LeaseRecord } from '../wire/lease.ts';
import type { DaemonPatterns } from './daemons.ts';
import type { KnownProcess } from './process-tree.ts';
import type { RunDir } from './run-dir.ts';

export interface GuardOrder {
  readonly record: LeaseRecord;
  /** That the command and all that it starts bear; undefined where none was given. */
  readonly inheritedMark: number | undefined;
  /** Inherited descriptors of the lease files, which get the record of the release. */
  readonly leaseFileFds: readonly number[];
  /** The rest of what keeps the lease. */
  readonly otherFds: readonly number[];
  readonly runDir: RunDir | undefined;
  readonly graceMs: number;
  readonly keepDaemons: DaemonPatterns;
}

/** A process takes some twenty bytes: a line stays far below what {@link MAX_LINE_BYTES} allows. */
export const KNOWN_PER_LINE = 1000;
export const MAX_LINE_BYTES = 1_000_000;

export function knownLine(processes: readonly KnownProcess[]): string {
  return `${JSON.stringify(processes.map(({ pid, startTicks }) => [pid, startTicks]))}\n`;
}

/** Written by this same program: no schema. @throws {SyntaxError} for a line cut by the holder's end */
export function parseKnownLine(line: string): KnownProcess[] {
  return (JSON.parse(line) as [number, number][]).map(([pid, startTicks]) => ({ pid, startTicks }));
}
