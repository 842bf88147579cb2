/** Writing down who holds a device. Apart from reading it, so that the guard starts without the native calls. */

import { fstatSync, ftruncateSync, rmSync, writeSync } from 'node:fs';
import type { LeaseRecord } from '../wire/lease.ts';

/** Far more than any record: what is longer is none of ours. */
const MAX_RECORD_BYTES = 1_000_000;

/**
 * Written over the old record in one write, with spaces over what was longer, and cut then: whoever reads in between, or
 * after this process was killed there, finds the new record whole; the fence of the next lease depends on it.
 *
 * @throws when the disk is full
 */
export function writeLeaseRecord(fd: number, record: LeaseRecord): void {
  const text = Buffer.from(`${JSON.stringify(record)}\n`);
  const bytes = Buffer.alloc(Math.max(text.length, Math.min(fstatSync(fd).size, MAX_RECORD_BYTES)), ' ');
  text.copy(bytes);
  if (writeSync(fd, bytes, 0, bytes.length, 0) < bytes.length)
    throw new Error('no space left for the record');
  ftruncateSync(fd, text.length);
}

/** Removes the folder of a lease and writes down that it is over. Never fails: the locks decide, which are let go next. */
export function concludeLease(record: LeaseRecord, leaseFileFds: readonly number[]): void {
  try {
    // First, because a disk that was full has room for the record then.
    rmSync(record.folder, { recursive: true, force: true });
  } catch {
    // What the command made unremovable changes neither its status nor who comes next.
  }
  recordRelease(record, leaseFileFds);
}

/** Writes down that a lease is over for these of its places. Never fails. */
export function recordRelease(record: LeaseRecord, leaseFileFds: readonly number[]): void {
  for (const fd of leaseFileFds) {
    try {
      writeLeaseRecord(fd, { ...record, releasedAtMs: Date.now() });
    } catch {
      // the next lease of this place writes its own
    }
  }
}
