/** Writing down who holds a device. Apart from reading it, so that the guard starts without the native calls. */

import { ftruncateSync, writeSync } from 'node:fs';
import type { LeaseRecord } from '../wire/lease.ts';

/** Written over the old record in one write, then cut: whoever reads in between finds no JSON, not a wrong record. */
export function writeLeaseRecord(fd: number, record: LeaseRecord): void {
  const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
  writeSync(fd, bytes, 0, bytes.length, 0);
  ftruncateSync(fd, bytes.length);
}

/** The same lease, over. */
export function released(record: LeaseRecord): LeaseRecord {
  return { ...record, releasedAtMs: Date.now() };
}
