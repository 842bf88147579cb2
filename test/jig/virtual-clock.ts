import type { Clock } from '../../src/jig/clock.ts';

/** Time that passes when everybody sleeps, and as much later as the test says. */
export class VirtualClock implements Clock {
  #nowMs = 1_000_000;
  /** How late the next sleeps end. */
  latenessMs: () => number = () => 0;
  /** Called at each sleep, with the time at which it would end; may let something happen first. */
  onSleep: (untilMs: number) => void = () => {};

  nowMs(): number {
    return this.#nowMs;
  }

  /** Something takes that long. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }

  async sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
    this.onSleep(atMs);
    await Promise.resolve();
    signal.throwIfAborted();
    if (atMs > this.#nowMs) this.#nowMs = atMs + this.latenessMs();
    signal.throwIfAborted();
  }
}
