import type { CrashPattern } from './crash.ts';

/** Two are a board that boots; a loader and its system may say the same. A board that gets nowhere comes to five soon. */
const LOOP_BOOTS = 5;

/** Counts starts of a board between two things that it, or we, have done. */
export class BootCount {
  readonly #byPattern = new Map<number, number>();

  /** Whether this match of a pattern is a crash: always, or as the last of too many starts. */
  isCrash(pattern: CrashPattern | undefined, index: number): boolean {
    if (pattern?.tells !== 'boot') return true;
    const count = (this.#byPattern.get(index) ?? 0) + 1;
    this.#byPattern.set(index, count);
    return count >= LOOP_BOOTS;
  }

  /** A step has got on, or the board was sent something, or reset. */
  reset(): void {
    this.#byPattern.clear();
  }
}
