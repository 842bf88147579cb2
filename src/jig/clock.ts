import { LONGEST_MS } from '../base/duration.ts';

/** What sequences go by; tests turn the hands themselves. */
export interface Clock {
  /** Milliseconds of CLOCK_MONOTONIC, with a fraction. */
  nowMs(): number;
  /**
   * Never early, mostly late by a millisecond. Others have their turn first, also when it is time already.
   *
   * @throws the reason of `signal`
   */
  sleepUntil(atMs: number, signal: AbortSignal): Promise<void>;
  /**
   * The same, but early by up to {@link EARLY_MS}: for who makes something ready, and then has {@link waitOut} the rest.
   * Both are left out by clocks that are exact.
   *
   * @throws the reason of `signal`
   */
  sleepAlmostUntil?(atMs: number, signal: AbortSignal): Promise<void>;
  /** Never early, mostly late by less than a tenth of one. Blocks everything: for the end of a sleep alone. */
  waitOut?(atMs: number): void;
}

/**
 * How much before its time who sleeps is woken: timers count whole milliseconds, and from being woken to what was to be
 * done it takes a slow host another.
 */
const EARLY_MS = 2;

/** Who sleeps until a signal; each is called when it is aborted. */
type Sleepers = Set<() => void>;

class SystemClock implements Clock {
  /** With one listener a signal: to add and to remove one at each sleep costs more than all else that a sleep does. */
  readonly #sleepers = new WeakMap<AbortSignal, Sleepers>();

  nowMs(): number {
    return monotonicMs();
  }

  sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
    return this.#sleep(atMs, 0, signal);
  }

  sleepAlmostUntil(atMs: number, signal: AbortSignal): Promise<void> {
    return this.#sleep(atMs, EARLY_MS, signal);
  }

  waitOut(atMs: number): void {
    for (let leftMs = atMs - monotonicMs(); leftMs > 0; leftMs = atMs - monotonicMs()) {
      Atomics.wait(NEVER, 0, 0, leftMs);
    }
  }

  #sleep(atMs: number, earlyMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const sleepers = this.#sleepersOf(signal);
      let timer: NodeJS.Timeout | undefined;
      let immediate: NodeJS.Immediate | undefined;
      const look = (): void => {
        // A timer may be early by a fraction of a millisecond.
        const leftMs = atMs - earlyMs - monotonicMs();
        if (leftMs > 0) timer = setTimeout(look, Math.min(Math.ceil(leftMs), LONGEST_MS));
        else if (timer) end();
        else immediate = setImmediate(end);
      };
      const end = (): void => {
        sleepers.delete(onAbort);
        resolve();
      };
      const onAbort = (): void => {
        clearTimeout(timer);
        clearImmediate(immediate);
        reject(signal.reason as Error);
      };
      sleepers.add(onAbort);
      look();
    });
  }

  #sleepersOf(signal: AbortSignal): Sleepers {
    const known = this.#sleepers.get(signal);
    if (known) return known;
    const sleepers: Sleepers = new Set();
    this.#sleepers.set(signal, sleepers);
    signal.addEventListener('abort', () => {
      for (const wake of sleepers) wake();
    });
    return sleepers;
  }
}

export const systemClock = new SystemClock();

/** Nobody ever wakes who sleeps on it. */
const NEVER = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** CLOCK_MONOTONIC, as the chips stamp their edges. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Milliseconds with as many digits as mean something. */
export function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
