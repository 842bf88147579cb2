/** What a session waits by: the time of day, or that of a recording. */
export interface Clock {
  /** Since some moment that stays the same. */
  readonly nowMs: number;
  /** Calls once, `ms` from now; in a process that was held up, not before it has read what came meanwhile. */
  after(ms: number, act: () => void): ClockTimer;
  /** Calls once what has arrived by now has been read: bytes in the kernel's queue are not silence. */
  onceRead(act: () => void): void;
}

export interface ClockTimer {
  /** Begins to wait anew; not to be called once it has called. */
  refresh(): void;
  cancel(): void;
}

export const REAL_CLOCK: Clock = {
  get nowMs() {
    return performance.now();
  },
  after(ms, act) {
    let reading: NodeJS.Immediate | undefined;
    // The event loop reads between its timers and its immediates.
    const timer = setTimeout(() => {
      reading = setImmediate(act);
    }, ms);
    return {
      refresh: () => {
        clearImmediate(reading);
        timer.refresh();
      },
      cancel: () => {
        clearImmediate(reading);
        clearTimeout(timer);
      },
    };
  },
  onceRead: (act) => void setImmediate(act),
};

/** @throws the reason of `signal` */
export function pause(clock: Pick<Clock, 'after'>, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = (): void => {
      timer.cancel();
      reject(signal.reason as Error);
    };
    const timer = clock.after(ms, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}
