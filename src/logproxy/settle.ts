import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Rounds after which even a writer that never stops has been read past what it had written at first: each reads at
 * least 64 KiB of it, and no pipe or socket holds more than 1 MiB. Source: pipe(7), socket(7).
 */
const MAX_ROUNDS = 17;

/** Something that is read by the event loop. */
export interface Readable {
  /** Grows with everything that is read. */
  activity(): number;
  /** Resolves when nothing keeps it from being read. */
  resumed(): Promise<unknown>;
}

/** Resolves when all that was written to `source` before the call has been read. */
export async function settled(source: Readable): Promise<void> {
  let seen = -1;
  for (let round = 0; round < MAX_ROUNDS && seen !== source.activity(); round++) {
    seen = source.activity();
    await source.resumed();
    // One whole turn of the event loop reads everything that is ready.
    await nextTurn();
    await nextTurn();
  }
}
