import { expect, test } from 'vitest';
import { sleepExactly, sleepUntilNs } from '../../src/native/precise-sleep.ts';

test('a sleep is never too short, and one until a time that has passed is none', () => {
  sleepExactly();
  for (const forNs of [-1_000_000n, 0n, 1n, 100_000n, 1_000_000n]) {
    const untilNs = process.hrtime.bigint() + forNs;
    sleepUntilNs(untilNs);
    expect(process.hrtime.bigint()).toBeGreaterThanOrEqual(untilNs);
  }
});
