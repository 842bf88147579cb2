import { setTimeout as delay } from 'node:timers/promises';

/** Only ever an upper bound. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 5;

/** Waits for something that raises no event. @throws when it does not come true */
export async function until(condition: () => boolean, what: string, patienceMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}
