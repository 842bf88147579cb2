import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  compareStanding,
  isPriority,
  newcomer,
  nextStanding,
  type Standing,
  standingOf,
} from '../../src/device/order.ts';

const MINUTE_MS = 60_000;

function standing(number: number, priority = 5, drawnMs = 0): Standing {
  return { number, priority, drawnMs, name: `${number}-${priority}-${drawnMs}` };
}

const inOrder = (standings: readonly Standing[], nowMs = 0): number[] =>
  [...standings].sort((a, b) => compareStanding(a, b, nowMs)).map((each) => each.number);

test('the more urgent come first, and of the same priority those who came first', () => {
  expect(inOrder([standing(1), standing(2, 9), standing(3), standing(4, 0), standing(5, 9)])).toEqual([
    2, 5, 1, 3, 4,
  ]);
});

test('each ten minutes raise a waiter by one, up to the highest priority', () => {
  const patient = standing(1, 3, 0);
  const urgent = standing(2, 5, 20 * MINUTE_MS);
  expect(inOrder([urgent, patient], 20 * MINUTE_MS - 1)).toEqual([2, 1]);
  expect(inOrder([urgent, patient], 20 * MINUTE_MS)).toEqual([1, 2]);
  expect(inOrder([standing(3, 9, 0), standing(2, 9, 0), standing(1, 0, 0)], 90 * MINUTE_MS)).toEqual([
    1, 2, 3,
  ]);
});

test('after ninety minutes nobody who comes later is in front of a waiter any more', () => {
  const eldest = standing(1, 0, 0);
  const later = newcomer(9, 90 * MINUTE_MS);
  expect(compareStanding(eldest, later, 90 * MINUTE_MS)).toBeLessThan(0);
  expect(compareStanding(eldest, later, 300 * MINUTE_MS)).toBeLessThan(0);
});

test('a ticket from the future is as old as one that was drawn now', () => {
  expect(inOrder([standing(2, 5, 0), standing(1, 5, 100 * MINUTE_MS)], MINUTE_MS)).toEqual([1, 2]);
});

test('a name tells everything that decides the place, and other files have none', () => {
  const first = nextStanding([], 7, 123_456.7);
  expect(standingOf(first.name)).toEqual(first);
  expect(first).toMatchObject({ number: 1, priority: 7, drawnMs: 123_456 });
  expect(nextStanding([first, standing(41)], 0, 1).number).toBe(42);
  for (const name of ['wake', '', '0000000001-5-1', '0000000001-55-1-1-x', '.0000000001-5-1-1-x'])
    expect(standingOf(name)).toBeUndefined();
});

test('priorities are the digits', () => {
  expect([0, 5, 9].every((each) => isPriority(each))).toBe(true);
  expect([-1, 10, 4.5, Number.NaN].some((each) => isPriority(each))).toBe(false);
});

test('whoever looks, at whatever moment, finds one order in which every two agree', () => {
  const tickets = fc.uniqueArray(
    fc.record({
      number: fc.nat(20),
      priority: fc.nat(9),
      drawnMs: fc.nat(200 * MINUTE_MS),
      name: fc.uuid(),
    }),
    { selector: ({ name }) => name, maxLength: 12 },
  );
  fc.assert(
    fc.property(tickets, fc.nat(400 * MINUTE_MS), fc.infiniteStream(fc.nat()), (all, nowMs, keys) => {
      const names = (list: readonly Standing[]): string[] =>
        [...list].sort((a, b) => compareStanding(a, b, nowMs)).map(({ name }) => name);
      const shuffled = all
        .map((each) => ({ each, key: keys.next().value as number }))
        .sort((a, b) => a.key - b.key)
        .map(({ each }) => each);
      expect(names(shuffled)).toEqual(names(all));
      for (const a of all)
        for (const b of all) {
          expect(Math.sign(compareStanding(a, b, nowMs))).toBe(-Math.sign(compareStanding(b, a, nowMs)) + 0);
        }
    }),
  );
});
