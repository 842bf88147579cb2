import type { Clock } from './clock.ts';

/** Counts how long a line is active, and says when that is too long. */
export class ActiveLimit {
  readonly maxMs: number;
  readonly #clock: Clock;
  readonly #onOver: () => void;
  #counting: AbortController | undefined;

  constructor(maxMs: number, clock: Clock, onOver: () => void) {
    this.maxMs = maxMs;
    this.#clock = clock;
    this.#onOver = onOver;
  }

  /** The line becomes active. Said again, it counts on. */
  begin(): void {
    if (this.#counting) return;
    const counting = new AbortController();
    this.#counting = counting;
    this.#clock.sleepUntil(this.#clock.nowMs() + this.maxMs, counting.signal).then(
      () => {
        if (!counting.signal.aborted) this.#onOver();
      },
      () => {}, // it ended to be active in time
    );
  }

  end(): void {
    this.#counting?.abort();
    this.#counting = undefined;
  }
}
