import type { Clock } from '../../src/jig/clock.ts';

/** Time that passes when everybody sleeps, and as much later as the test says. */
export class VirtualClock implements Clock {
  #nowMs = 1_000_000;
  /** How late the next sleeps end. */
  latenessMs: () => number = () => 0;
  /** How much of it was waited out, with everything else standing still. */
  stoodStillMs = 0;
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
    await this.#sleep(atMs, signal);
    this.#reach(atMs);
    signal.throwIfAborted();
  }

  async sleepAlmostUntil(atMs: number, signal: AbortSignal): Promise<void> {
    await this.#sleep(atMs, signal);
    this.#nowMs = Math.max(this.#nowMs, atMs - EARLY_MS);
  }

  waitOut(atMs: number): void {
    if (atMs > this.#nowMs) this.stoodStillMs += atMs - this.#nowMs;
    this.#reach(atMs);
  }

  async #sleep(atMs: number, signal: AbortSignal): Promise<void> {
    this.onSleep(atMs);
    await Promise.resolve();
    signal.throwIfAborted();
  }

  #reach(atMs: number): void {
    if (atMs > this.#nowMs) this.#nowMs = atMs + this.latenessMs();
  }
}

/** As little early as makes a difference. */
const EARLY_MS = 1;
