import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Parking } from '../../src/virtual-lab/parking.ts';

let isInUse: boolean;
let wasOpened: boolean;
let states: string[];
let parking: Parking;

beforeEach(() => {
  vi.useFakeTimers();
  [isInUse, wasOpened, states] = [false, false, []];
  parking = new Parking({
    isInUse: () => isInUse,
    wasOpened: () => {
      const answer = wasOpened;
      wasOpened = false;
      return answer;
    },
    changed: (state) => states.push(state),
    quietMs: 5000,
  });
});
afterEach(() => {
  parking[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('a board runs at first, and is parked once it was left alone for the whole time', () => {
  expect(parking.state).toBe('running');
  vi.advanceTimersByTime(9999);
  expect(states).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(states).toEqual(['parked']);
  vi.advanceTimersByTime(60_000);
  expect(states).toEqual(['parked']);
});

test('a board in use is never parked', () => {
  isInUse = true;
  vi.advanceTimersByTime(60_000);
  isInUse = false;
  vi.advanceTimersByTime(5000);
  expect(states).toEqual(['parked']);
});

test('whoever touches it or comes and goes keeps it running for a while', () => {
  vi.advanceTimersByTime(9000);
  parking.touch();
  vi.advanceTimersByTime(5000);
  wasOpened = true;
  vi.advanceTimersByTime(5000);
  expect(states).toEqual([]);
  vi.advanceTimersByTime(5000);
  expect(states).toEqual(['parked']);
});

test('a parked board runs at once when touched, and soon when opened', () => {
  vi.advanceTimersByTime(10_000);
  parking.touch();
  expect(states).toEqual(['parked', 'running']);
  vi.advanceTimersByTime(10_000);
  wasOpened = true;
  vi.advanceTimersByTime(50);
  expect(states).toEqual(['parked', 'running', 'parked', 'running']);
});
