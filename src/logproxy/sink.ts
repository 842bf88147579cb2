import type { LogBytes, LogGap, LogTime } from '../wire/log.ts';

/** One thing that came in, before its channel has numbered it. */
export type LogArrival = (LogBytes | LogGap) & LogTime & { readonly writer: number };

/** Where a channel's arrivals go. */
export interface LogSink {
  /**
   * Takes the arrival at once, and copies its bytes. `wait` asks the source to pause until `drained` resolves;
   * what it brings nevertheless is taken too.
   */
  append(arrival: LogArrival): 'go on' | 'wait';

  /** Resolves when sources may go on. Always does, also when what comes then can only be counted. */
  drained(): Promise<void>;
}

/** Now, by both clocks. */
export function timeNow(): LogTime {
  return { atMs: Date.now(), monotonicNs: process.hrtime.bigint() };
}

/** The time that a writer on this host gives for what it read; never later than now, which no honest one says. */
export function timeAt(monotonicNs: bigint): LogTime {
  const now = timeNow();
  if (monotonicNs >= now.monotonicNs) return now;
  const agoMs = Number((now.monotonicNs - monotonicNs) / 1_000_000n);
  return { atMs: Math.max(0, now.atMs - agoMs), monotonicNs }; // a clock that was never set can be younger
}
