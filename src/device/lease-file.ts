/** What lease files and lease folders say: who holds a device, or who held it last. */

import { closeSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { openSharedToRead, readShared } from '../base/shared-file.ts';
import { tryFlock } from '../native/flock.ts';
import { LEASE_RECORD_FILE, LeaseRecord } from '../wire/lease.ts';
import type { Place } from './place.ts';
import type { RunDir } from './run-dir.ts';

/** The file whose flock is the lease of a place. Never removed: its last record outlives the lease. */
export function leaseFilePath(runDir: RunDir, place: Place): string {
  return join(runDir.path, `${place.name}.lease`);
}

/** The last record of a place; undefined when there is none, or none that we understand. */
export function readLeaseFile(runDir: RunDir, place: Place): LeaseRecord | undefined {
  return readRecord(leaseFilePath(runDir, place));
}

/**
 * The lease that a folder (`SAI_DEVICE_LEASE`) stands for, while somebody holds it.
 * Its record is flocked by holder and guard, so that also another pid namespace can tell.
 */
export function readLiveLease(folder: string): LeaseRecord | undefined {
  const path = join(folder, LEASE_RECORD_FILE);
  const record = readRecord(path);
  return record && isFlocked(path) ? record : undefined;
}

function readRecord(path: string): LeaseRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(readShared(path));
  } catch {
    return undefined; // never leased, being written, or not ours to read
  }
  const result = v.safeParse(LeaseRecord, value);
  return result.success ? result.output : undefined;
}

/** Whether the owner of a file that is flocked for its owner's life still lives. */
function isFlocked(path: string): boolean {
  let fd: number;
  try {
    fd = openSharedToRead(path);
  } catch {
    return false; // gone, or never one of ours
  }
  try {
    return !tryFlock(fd, 'shared');
  } finally {
    closeSync(fd);
  }
}
