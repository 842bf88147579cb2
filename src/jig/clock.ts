import { setTimeout as delay } from 'node:timers/promises';

/** What sequences go by; tests turn the hands themselves. */
export interface Clock {
  /** Milliseconds of CLOCK_MONOTONIC, with a fraction. */
  nowMs(): number;
  /** Never early, as late as the machine is busy. @throws the reason of `signal` */
  sleepUntil(atMs: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: monotonicMs,
  sleepUntil: async (atMs, signal) => {
    // A timer counts whole milliseconds, and may be early by a fraction of one.
    for (let leftMs = atMs - monotonicMs(); leftMs > 0; leftMs = atMs - monotonicMs()) {
      try {
        await delay(Math.ceil(leftMs), undefined, { signal });
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      }
    }
    signal.throwIfAborted();
  },
};

/** CLOCK_MONOTONIC, as the chips stamp their edges. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Milliseconds with as many digits as mean something. */
export function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
