import type { ClockTimer } from './clock.ts';

interface Pending {
  atMs: number;
  readonly ms: number;
  readonly owner: unknown;
  readonly act: () => void;
}

/** The time of a recording: it passes when somebody says so. */
export class ReplayClock {
  #nowMs = 0;
  readonly #pending = new Set<Pending>();

  /** Since the recording began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** When the next timer is due; undefined when there is none. */
  get nextMs(): number | undefined {
    return this.#next?.atMs;
  }

  after(ms: number, act: () => void, owner?: unknown): ClockTimer {
    const timer: Pending = { atMs: 0, ms, owner, act };
    const start = (): void => {
      timer.atMs = this.#nowMs + ms;
      this.#pending.delete(timer); // the last of those that are due at the same time
      this.#pending.add(timer);
    };
    start();
    return { refresh: start, cancel: () => void this.#pending.delete(timer) };
  }

  /** The timers of `owner` for that time are due now, if they have run for most of it. */
  hasten(owner: unknown, ms: number): void {
    for (const timer of this.#pending) {
      const leftMs = timer.atMs - this.#nowMs;
      if (timer.owner === owner && timer.ms === ms && leftMs > 0 && leftMs < ms / 2) timer.atMs = this.#nowMs;
    }
  }

  /** Never back. */
  advanceTo(ms: number): void {
    this.#nowMs = Math.max(this.#nowMs, ms);
  }

  /** Goes on to the next timer that is due, and calls it. */
  fireNext(): void {
    const next = this.#next;
    if (!next) return;
    this.#pending.delete(next);
    this.advanceTo(next.atMs);
    next.act();
  }

  get #next(): Pending | undefined {
    let first: Pending | undefined;
    for (const timer of this.#pending) if (!first || timer.atMs < first.atMs) first = timer;
    return first;
  }
}
