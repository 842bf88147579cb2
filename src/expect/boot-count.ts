import type { CrashPattern } from './crash.ts';

/** Two are a board that boots; a loader and its system may say the same. A board that gets nowhere comes to five soon. */
const LOOP_BOOTS = 5;

/** Loaders and systems of one board. */
const MAX_LINES = 64;

/** Counts starts of a board between two things that it, or we, have done. */
export class BootCount {
  readonly #byLine = new Map<string, number>();

  /** Whether this line of a pattern is a crash: always, or as the last of too many starts that say the same. */
  isCrash(pattern: CrashPattern | undefined, line: () => string): boolean {
    if (pattern?.tells !== 'boot') return true;
    // Without its numbers: of several loaders in a row each is another, and the same one may tell its time.
    const text = line().replaceAll(/\d+/g, '');
    const count = (this.#byLine.get(text) ?? 0) + 1;
    if (this.#byLine.size < MAX_LINES || count > 1) this.#byLine.set(text, count);
    return count >= LOOP_BOOTS;
  }

  /** A step has got on, or the board was sent something, or reset. */
  reset(): void {
    this.#byLine.clear();
  }
}
