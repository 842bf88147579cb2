import { describe, expect, test } from 'vitest';
import { LONGEST_MS } from '../../src/base/duration.ts';
import { systemClock } from '../../src/jig/clock.ts';

const never = new AbortController().signal;
const reason = new Error('enough');
const SLEEPS = ['sleepUntil', 'sleepAlmostUntil'] as const;

describe('the clock of the host', () => {
  test('wakes nobody before it is time, at any fraction of a millisecond', async () => {
    for (let tenths = 0; tenths < 40; tenths += 1) {
      const atMs = systemClock.nowMs() + tenths / 10;
      await systemClock.sleepUntil(atMs, never);
      expect(systemClock.nowMs()).toBeGreaterThanOrEqual(atMs);
    }
  });

  test('has the rest waited out, and no time that has passed', async () => {
    for (let tenths = 0; tenths < 40; tenths += 1) {
      const atMs = systemClock.nowMs() + tenths / 10;
      await systemClock.sleepAlmostUntil(atMs, never);
      expect(systemClock.nowMs()).toBeGreaterThanOrEqual(atMs - 2);
      systemClock.waitOut(atMs);
      expect(systemClock.nowMs()).toBeGreaterThanOrEqual(atMs);
    }
    systemClock.waitOut(0);
    systemClock.waitOut(Number.NEGATIVE_INFINITY);
  });

  test.each(SLEEPS)(
    '%s lets everything else have its turn first, also when it is time already',
    async (sleep) => {
      let hadTurn = false;
      setImmediate(() => {
        hadTurn = true;
      });
      await systemClock[sleep](systemClock.nowMs() - 5, never);
      expect(hadTurn).toBe(true);
    },
  );

  test.each(SLEEPS)(
    '%s ends with the reason of its signal: before, at once, and of many sleepers',
    async (sleep) => {
      await expect(systemClock[sleep](0, AbortSignal.abort(reason))).rejects.toBe(reason);
      const abort = new AbortController();
      const nowMs = systemClock.nowMs();
      const sleepers = [0, 1000, 3_600_000].map((ms) => systemClock[sleep](nowMs + ms, abort.signal));
      const outcomes = Promise.allSettled(sleepers);
      abort.abort(reason);
      expect(await outcomes).toEqual(sleepers.map(() => ({ status: 'rejected', reason })));
      await expect(systemClock[sleep](0, abort.signal)).rejects.toBe(reason);
    },
  );

  test.each(SLEEPS)('%s sleeps for longer than a timer can count', async (sleep) => {
    const abort = new AbortController();
    const asleep = systemClock[sleep](systemClock.nowMs() + 3 * LONGEST_MS, abort.signal);
    const first = await Promise.race([
      asleep.then(() => 'woken'),
      systemClock.sleepUntil(systemClock.nowMs() + 20, never),
    ]);
    expect(first).toBeUndefined();
    abort.abort(reason);
    await expect(asleep).rejects.toBe(reason);
  });
});
