/** Wakes waiters: each watches its own ticket. Without native calls, for the guard has none. */

import { closeSync, fstatSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openSharedToWrite } from '../base/shared-file.ts';
import { standingOf } from './order.ts';
import type { RunDir } from './run-dir.ts';

/** Has one waiter look at once: what its ticket ends with is written once more, so it never changes. */
export function wakeWaiter(ticketPath: string): void {
  try {
    const fd = openSharedToWrite(ticketPath);
    try {
      writeSync(fd, '\n', Math.max(0, fstatSync(fd).size - 1));
    } finally {
      closeSync(fd);
    }
  } catch {
    // withdrawn meanwhile, or not ours to write: the waiter's own look finds out within a second
  }
}

/** Has every waiter look: for what concerns nobody knows whom. */
export function wakeWaiters(runDir: RunDir | undefined): void {
  if (!runDir) return;
  try {
    const names = readdirSync(runDir.queue).filter((name) => standingOf(name));
    for (const name of names) wakeWaiter(join(runDir.queue, name));
  } catch {
    // the queue was removed: the waiters say so
  }
}
