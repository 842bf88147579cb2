/** What the lease files of a run folder say: for whom a tty is held that does not tell so itself. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { type FlockTable, readFlocks } from '../base/proc-locks.ts';
import { isAlive } from '../base/process-table.ts';
import { readShared } from '../base/shared-file.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { type LeasedDevice, LeaseRecord } from '../wire/lease.ts';

/** Of the name of each file whose flock is the lease of a place. */
export const LEASE_FILE_END = '.lease';

/**
 * The lease of a tty that has no lock of its own now: it is lent to a tool, away, or back at another place. `isMeant`
 * is asked about the ttys of the leases that there are, as they are configured.
 */
export function findHeldLease(
  folder: string,
  isMeant: (path: string) => boolean,
  flocks: FlockTable = readFlocks(),
): LeaseRecord | undefined {
  return findHeldRecord(folder, ({ devices }) => lockedTtysOf(devices).some((each) => isMeant(each)), flocks);
}

/** The same by what a lease says of itself. */
export function findHeldRecord(
  folder: string,
  isMeant: (record: LeaseRecord) => boolean,
  flocks: FlockTable = readFlocks(),
): LeaseRecord | undefined {
  for (const name of namesIn(folder)) {
    if (!name.endsWith(LEASE_FILE_END)) continue;
    const path = join(folder, name);
    const record = readLeaseRecord(path, 'held ones');
    if (record && isLeaseHeld(path, record, flocks) && isMeant(record)) return record;
  }
  return undefined;
}

/**
 * Whether somebody has a lease file locked. From inside a pid namespace /proc/locks hides who is outside: then the
 * record speaks, if its holder can be seen.
 */
export function isLeaseHeld(path: string, record: LeaseRecord | undefined, flocks: FlockTable): boolean {
  const file = statIfVisible(path);
  if (!file) return false;
  if (flocks.holderOf(file) !== undefined) return true;
  return (
    record !== undefined &&
    record.releasedAtMs === undefined &&
    isAlive({ pid: record.holderPid, startTicks: record.holderStartTicks })
  );
}

/** Undefined when there is none, or none that we understand. */
export function readLeaseRecord(path: string, which: 'all' | 'held ones' = 'all'): LeaseRecord | undefined {
  let value: unknown;
  try {
    const text = readShared(path);
    // Most are over, and parsing them would take its time.
    if (which === 'held ones' && text.includes('"releasedAtMs":')) return undefined;
    value = JSON.parse(text);
  } catch {
    return undefined; // never leased, being written, or not ours to read
  }
  const result = v.safeParse(LeaseRecord, value);
  return result.success ? result.output : undefined;
}

function lockedTtysOf(devices: readonly LeasedDevice[]): string[] {
  return devices.flatMap(({ ttys }) => ttys.filter(({ locked }) => locked !== false).map(({ path }) => path));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // gone, or not ours to read: whoever takes a device is told
  }
}
