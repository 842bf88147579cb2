import { callLibc, SystemError } from './libc.ts';

/** Source: <time.h>; clock_nanosleep(2). */
const CLOCK_MONOTONIC = 1;
const TIMER_ABSTIME = 1;
const EINTR = 4;
/** Source: <linux/prctl.h>. */
const PR_SET_TIMERSLACK = 29;
const SHORTEST_SLACK_NS = 1;

const NS_PER_S = 1_000_000_000n;

/** `struct timespec`: two of C's `long`, which has 32 bits on ARMv7 alone of what we run on. */
const until = process.arch === 'arm' ? new Int32Array(2) : new BigInt64Array(2);
const untilBytes = new Uint8Array(until.buffer);

/**
 * Blocks the thread until that time of `process.hrtime.bigint()`: never less, and as much longer as the kernel takes to
 * wake it. For a thread that has nothing else to do, and a few milliseconds at most: nothing ends it early.
 */
export function sleepUntilNs(atNs: bigint): void {
  const seconds = atNs / NS_PER_S;
  const nanoseconds = atNs % NS_PER_S;
  if (until instanceof Int32Array) until.set([Number(seconds), Number(nanoseconds)]);
  else until.set([seconds, nanoseconds]);
  for (;;) {
    const errno = callLibc('clock_nanosleep', CLOCK_MONOTONIC, TIMER_ABSTIME, untilBytes, null);
    if (errno === 0) return;
    // A signal that this thread was chosen for.
    if (errno !== EINTR) throw new SystemError('clock_nanosleep', errno);
  }
}

/**
 * Tells the kernel to wake this thread when it is time: by itself it allows 50 µs more, to save power.
 * Source: PR_SET_TIMERSLACK(2const).
 *
 * @throws {SystemError}
 */
export function sleepExactly(): void {
  callLibc('prctl', PR_SET_TIMERSLACK, SHORTEST_SLACK_NS, 0, 0, 0);
}
