import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Who was told to end has ended by then, or does not. */
const LONGEST_MS = 10_000;

/** Removes a folder into which those who are about to end may still write; who does not end keeps it. Never throws. */
export async function removeFolder(path) {
  const untilMs = performance.now() + LONGEST_MS;
  for (;;) {
    try {
      rmSync(path, { recursive: true, force: true });
      return;
    } catch {
      if (performance.now() > untilMs) return;
      await delay(100);
    }
  }
}
