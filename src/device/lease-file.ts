/** What lease files and lease folders say: who holds a device, or who held it last. */

import { accessSync, closeSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoCode } from '../base/errors.ts';
import type { FlockTable } from '../base/proc-locks.ts';
import { openSharedToRead } from '../base/shared-file.ts';
import { tryFlock } from '../native/flock.ts';
import { findHeldLease, findHeldRecord, LEASE_FILE_END, readLeaseRecord } from '../tty/held-leases.ts';
import { LEASE_RECORD_FILE, type LeaseRecord } from '../wire/lease.ts';
import type { Place } from './place.ts';
import type { PooledDevice } from './pool.ts';
import type { RunDir } from './run-dir.ts';

/** The file whose flock is the lease of a place. Never removed: its last record outlives the lease. */
export function leaseFilePath(runDir: RunDir, place: Pick<Place, 'name'>): string {
  return join(runDir.path, `${place.name}${LEASE_FILE_END}`);
}

/** The last record of a place; undefined when there is none, or none that we understand. */
export function readLeaseFile(runDir: RunDir, place: Pick<Place, 'name'>): LeaseRecord | undefined {
  return readLeaseRecord(leaseFilePath(runDir, place));
}

/**
 * The lease that a folder (`SAI_DEVICE_LEASE`) stands for, while somebody holds it.
 * Its record is flocked by holder and guard, so that also another pid namespace can tell.
 */
export function readLiveLease(folder: string): LeaseRecord | undefined {
  const path = join(folder, LEASE_RECORD_FILE);
  const record = readLeaseRecord(path);
  if (record) return isFlocked(path) ? record : undefined;
  return isClosedToUs(folder)
    ? findHeldRecord(runDirOf(folder), (each) => each.folder === folder)
    : undefined;
}

/** The command of a lease may have become another user (`sudo -E -u ann`): the folder is its holder's alone. */
function isClosedToUs(folder: string): boolean {
  try {
    accessSync(folder, constants.X_OK);
    return false;
  } catch (error) {
    return errnoCode(error) === 'EACCES';
  }
}

const runDirOf = (folder: string): string => dirname(dirname(folder));

/**
 * The lease of a device whose place does not tell: a tty of it is away, or it has just come back at another place.
 * Found by the configured paths of its ttys.
 */
export function findLeaseOf(
  device: PooledDevice,
  runDir: RunDir,
  flocks: FlockTable,
): LeaseRecord | undefined {
  const paths = device.ttys.filter(({ locked }) => locked).map(({ path }) => path);
  return findHeldLease(runDir.path, (path) => paths.includes(path), flocks);
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
