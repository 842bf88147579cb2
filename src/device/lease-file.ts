/** What lease files and lease folders say: who holds a device, or who held it last. */

import { closeSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { openSharedToRead, readShared } from '../base/shared-file.ts';
import { tryFlock } from '../native/flock.ts';
import { LEASE_RECORD_FILE, LeaseRecord } from '../wire/lease.ts';
import type { Place } from './place.ts';
import type { PooledDevice } from './pool.ts';
import type { RunDir } from './run-dir.ts';

/** The file whose flock is the lease of a place. Never removed: its last record outlives the lease. */
export function leaseFilePath(runDir: RunDir, place: Place): string {
  return join(runDir.path, `${place.name}${LEASE_FILE_END}`);
}

const LEASE_FILE_END = '.lease';

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

/**
 * The lease of a device whose place does not tell: a tty of it is away, or it has just come back at another place.
 * Found by the configured paths of its ttys.
 */
export function findLeaseOf(device: PooledDevice, runDir: RunDir): LeaseRecord | undefined {
  const paths = device.ttys.filter(({ locked }) => locked).map(({ path }) => path);
  const quoted = paths.map((path) => JSON.stringify(path));
  for (const name of namesIn(runDir.path).filter((each) => each.endsWith(LEASE_FILE_END))) {
    const record = readRecord(join(runDir.path, name), quoted);
    if (!record || record.releasedAtMs !== undefined) continue;
    const ttys = record.devices.flatMap((each) => each.ttys);
    const isItsLease = ttys.some(({ path, locked }) => locked !== false && paths.includes(path));
    if (isItsLease && readLiveLease(record.folder)) return record;
  }
  return undefined;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // gone, or not ours to read: whoever takes a device is told
  }
}

/** Only one that mentions one of `texts`, where they are given: most do not, and reading them would take its time. */
function readRecord(path: string, texts: readonly string[] = ['']): LeaseRecord | undefined {
  let value: unknown;
  try {
    const json = readShared(path);
    if (!texts.some((text) => json.includes(text))) return undefined;
    value = JSON.parse(json);
  } catch {
    return undefined; // never leased, being written, or not ours to read
  }
  const result = v.safeParse(LeaseRecord, value);
  return result.success ? result.output : undefined;
}

/** Whether the owner of a file that is flocked for its owner's life still lives. */
export function isFlocked(path: string): boolean {
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
