import type { Clock, ClockTimer } from './clock.ts';

/** A board that has said nothing for this long has, for now, said what it had to say. */
export const QUIET_MS = 50;

/**
 * Calls back once, when nothing has arrived for 50 ms. A process that was stalled meanwhile first reads what is
 * waiting: bytes in the kernel's queue are not silence.
 */
export class QuietTimer {
  readonly #clock: Clock;
  readonly #onQuiet: () => void;
  #timer: ClockTimer | undefined;
  #generation = 0;

  constructor(clock: Clock, onQuiet: () => void) {
    this.#clock = clock;
    this.#onQuiet = onQuiet;
  }

  /** Begins to wait, or begins again because something arrived. */
  restart(): void {
    this.#generation++;
    if (this.#timer) this.#timer.refresh();
    else this.#timer = this.#clock.after(QUIET_MS, () => this.#afterReading());
  }

  stop(): void {
    this.#generation++;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #afterReading(): void {
    const generation = this.#generation;
    this.#timer = undefined;
    this.#clock.onceRead(() => {
      if (generation === this.#generation) this.#onQuiet();
    });
  }
}
