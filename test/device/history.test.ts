import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeEstimate, estimate, type Prospect, rememberLease } from '../../src/device/history.ts';
import { openRunDir } from '../../src/device/run-dir.ts';
import { readState } from '../../src/device/state.ts';
import type { LeasedDevice } from '../../src/wire/lease.ts';
import { tempFolder } from '../temp-folder.ts';

const MINUTE = 60_000;

/** A device that is held for that long now, and whose leases lasted as said. */
const device = (heldForMs: number, ...durationsMs: number[]): Prospect => ({
  heldForMs,
  leases: durationsMs.map((durationMs, index) => ({ durationMs, fence: index })),
});

test.each([
  ['without history nothing', [device(MINUTE)], 1, undefined],
  ['what is left of the median lease', [device(MINUTE, 4 * MINUTE, 60 * MINUTE, 2 * MINUTE)], 1, 3 * MINUTE],
  ['the middle of two medians', [device(0, MINUTE, 3 * MINUTE)], 1, 2 * MINUTE],
  ['nothing less than no time at all', [device(60 * MINUTE, MINUTE)], 1, 0],
  ['one more lease for each waiter in front', [device(MINUTE, 4 * MINUTE)], 3, 11 * MINUTE],
  ['the device that comes free first', [device(0, 4 * MINUTE), device(3 * MINUTE, 4 * MINUTE)], 1, MINUTE],
  ['each waiter in front its own device', [device(0, 4 * MINUTE), device(3 * MINUTE)], 2, 4 * MINUTE],
  ['a round of all devices', [device(0, 4 * MINUTE), device(3 * MINUTE)], 3, 5 * MINUTE],
  ['a free device for those in front', [device(Number.POSITIVE_INFINITY, 4 * MINUTE)], 2, 4 * MINUTE],
])('the estimate is %s', (_what, devices, position, expected) => {
  expect(estimate(devices, position)?.freeInMs).toBe(expected);
});

test.each([
  ['a lease that lasts longer than they do', [device(2 * MINUTE, MINUTE)], 1, true],
  ['it also for those further back', [device(2 * MINUTE, MINUTE)], 3, true],
  ['no lease that may end in time', [device(MINUTE, 2 * MINUTE)], 1, false],
  ['none while another device comes in time', [device(MINUTE * 9, MINUTE), device(1000, MINUTE)], 2, false],
  ['no device that is free', [device(Number.POSITIVE_INFINITY, MINUTE)], 1, false],
])('overdue is %s', (_what, devices, position, isOverdue) => {
  expect(estimate(devices, position)).toMatchObject({ isOverdue, usualMs: expect.any(Number) });
});

test.each([
  [1, 'later than usual: leases last about 1 s'],
  [7000, 'later than usual: leases last about 10 s'],
  [2.2 * MINUTE, 'later than usual: leases last about 3 min'],
])('what is overdue, where leases last %d ms, is told as "%s"', (usualMs, text) => {
  expect(describeEstimate({ freeInMs: 0, isOverdue: true, usualMs })).toBe(text);
});

test.each([
  [0, 'free any moment'],
  [999, 'free any moment'],
  [1000, 'free in about 5 s'],
  [12_345, 'free in about 15 s'],
  [59_000, 'free in about 1 min'],
  [2.2 * MINUTE, 'free in about 3 min'],
  [59.5 * MINUTE, 'free in about 1 h'],
  [75 * MINUTE, 'free in about 1 h 20 min'],
])('%d ms are told as "%s"', (freeInMs, text) => {
  expect(describeEstimate({ freeInMs, isOverdue: false, usualMs: MINUTE })).toBe(text);
});

test('the last twenty leases of a device are kept, and its highest fence', async () => {
  const { runDir } = openRunDir({ configured: join(tempFolder(), 'run'), ttyGid: undefined, force: false });
  if (!runDir) throw new Error('a configured folder is used');
  const devices = [{ name: 'uno1', type: 'uno', answersTo: [], ttys: [] }] as [LeasedDevice];
  for (let fence = 1; fence <= 25; fence++) {
    const inFuture = fence === 25 ? MINUTE : 0; // the clock was set back meanwhile
    const sinceMs = Date.now() - 1000 + inFuture;
    await rememberLease(runDir, { devices, sinceMs, fence });
  }
  const kept = readState(runDir).devices.get('uno1');
  expect(kept?.fence).toBe(25);
  expect(kept?.leases.map((each) => each.fence)).toEqual(Array.from({ length: 20 }, (_, index) => index + 6));
  expect(kept?.leases[0]?.durationMs).toBeGreaterThanOrEqual(1000);
  expect(kept?.leases.at(-1)?.durationMs).toBe(0);
});
