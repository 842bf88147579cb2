import type { Clock } from './clock.ts';

/** Who sleeps, and until when. */
interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** Time that passes only when everybody sleeps, and then at once: the earliest wakes, of several the first that lay down. */
export class EventClock implements Clock {
  #nowMs = 0;
  /** By time, then by arrival. */
  readonly #sleepers: Sleeper[] = [];
  #isTicking = false;

  nowMs(): number {
    return this.#nowMs;
  }

  /** A time in which nothing happens, before anybody sleeps. */
  skip(ms: number): void {
    this.#nowMs += ms;
  }

  async sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (atMs <= this.#nowMs) return;
    await new Promise<void>((resolve, reject) => {
      const sleeper = { atMs, wake };
      const later = this.#sleepers.findIndex((other) => other.atMs > atMs);
      this.#sleepers.splice(later === -1 ? this.#sleepers.length : later, 0, sleeper);
      const onAbort = (): void => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        reject(signal.reason as Error);
      };
      function wake(): void {
        signal.removeEventListener('abort', onAbort);
        resolve();
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#tick();
    });
  }

  /** One sleeper a turn of the event loop: by then whoever was woken before has done what he had to. */
  #tick(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    setImmediate(() => {
      this.#isTicking = false;
      const sleeper = this.#sleepers.shift();
      if (!sleeper) return;
      this.#nowMs = sleeper.atMs;
      sleeper.wake();
      this.#tick();
    });
  }
}
