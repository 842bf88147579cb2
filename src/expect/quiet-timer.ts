/** A board that has said nothing for this long has, for now, said what it had to say. */
const QUIET_MS = 50;

/**
 * Calls back once, when nothing has arrived for 50 ms. A process that was stalled meanwhile first reads what is
 * waiting: bytes in the kernel's queue are not silence.
 */
export class QuietTimer {
  readonly #onQuiet: () => void;
  #timer: NodeJS.Timeout | undefined;
  #generation = 0;

  constructor(onQuiet: () => void) {
    this.#onQuiet = onQuiet;
  }

  /** Begins to wait, or begins again because something arrived. */
  restart(): void {
    this.#generation++;
    if (this.#timer) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#afterReading(), QUIET_MS);
  }

  stop(): void {
    this.#generation++;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The event loop reads between its timers and its immediates. */
  #afterReading(): void {
    const generation = this.#generation;
    this.#timer = undefined;
    setImmediate(() => {
      if (generation === this.#generation) this.#onQuiet();
    });
  }
}
