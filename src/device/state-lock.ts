/** The turn of who writes the rig's state. The one adapter of proper-lockfile; loaded only where something is written. */

import { rmdirSync } from 'node:fs';
import { lock } from 'proper-lockfile';
import { errnoCode } from '../base/errors.ts';
import { statIfVisible } from '../base/visible-file.ts';

/**
 * A dead holder is recovered from after this time, the shortest that proper-lockfile has. It may well be that the
 * holder lives and was only stopped: the lock says whose turn it is, and not that nobody else writes.
 */
const STALE_AFTER_MS = 2000;

/** A lock from so far in the future was taken before the clock was set back, and would never grow old. */
const MAX_AHEAD_MS = 10_000;

export interface Turn {
  /** Never fails: what cannot be removed grows old. */
  end(): Promise<void>;
}

/**
 * Takes the turn whose folder is `path`, without waiting. Undefined while somebody else has it.
 *
 * @throws the system's error
 */
export async function tryTakeTurn(path: string): Promise<Turn | undefined> {
  try {
    const release = await lock(path, {
      lockfilePath: path,
      realpath: false,
      stale: STALE_AFTER_MS,
      update: STALE_AFTER_MS / 2,
      onCompromised: () => {}, // whoever took it over has made our write fail; the default throws in a timer
    });
    return {
      end: async () => {
        try {
          await release();
        } catch {
          // taken over, or the folder went away
        }
      },
    };
  } catch (error) {
    if (errnoCode(error) !== 'ELOCKED') throw error;
    removeFromFuture(path);
    return undefined;
  }
}

function removeFromFuture(path: string): void {
  const stat = statIfVisible(path);
  if (!stat || stat.mtimeMs < Date.now() + MAX_AHEAD_MS) return;
  try {
    rmdirSync(path);
  } catch {
    // somebody else was faster
  }
}
