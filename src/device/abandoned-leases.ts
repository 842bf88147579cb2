/** Folders of leases whose holder and guard were killed before they could remove them. */

import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LeaseRecord } from '../wire/lease.ts';
import { readLiveLease } from './lease-file.ts';
import type { RunDir } from './run-dir.ts';

/** Between the making of a folder and the lock that shows that somebody holds it lies less than a millisecond. */
const ABANDONED_AFTER_MS = 60_000;

/**
 * Removes them, also those of other devices: whoever made one may never come back. Those of `over` are over for sure.
 * Another user's stays until that user, or a reboot, removes it. Root's turn is no exception: whoever owns a folder may
 * put a link in the place of what is being removed.
 */
export function removeAbandonedLeases(runDir: RunDir, over: readonly (LeaseRecord | undefined)[]): void {
  const folders = new Set(over.map((record) => record?.folder));
  for (const name of namesIn(runDir.leases)) {
    const folder = join(runDir.leases, name);
    try {
      const { uid, mtimeMs } = lstatSync(folder);
      if (uid !== process.getuid?.()) continue;
      if (!folders.has(folder) && Date.now() - mtimeMs < ABANDONED_AFTER_MS) continue;
      if (!readLiveLease(folder)) rmSync(folder, { recursive: true, force: true });
    } catch {
      // removed meanwhile, or not ours
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
