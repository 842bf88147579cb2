/** Rings once for any number of reasons since the last time somebody listened. */
export class Alarm {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Resolves as soon as it rings, with true, or after `ms`. */
  async rings(ms: number): Promise<boolean> {
    if (!this.#hasRung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = undefined;
    const hasRung = this.#hasRung;
    this.#hasRung = false;
    return hasRung;
  }
}
