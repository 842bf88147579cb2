import { describe, expect, test } from 'vitest';
import type { PooledDevice } from '../../src/device/pool.ts';
import type { Ticket } from '../../src/device/ticket.ts';
import { type FreeDevice, TurnKeeper } from '../../src/device/turn.ts';
import { pooledUno } from '../peers/pooled-uno.ts';

const device = (name: string): PooledDevice => ({ ...pooledUno([], [`/${name}`]), name });

const [a, b, c] = [device('a'), device('b'), device('c')];
const free = (of: PooledDevice, lastUsedMs = 0): FreeDevice => ({
  device: of,
  claims: [of.name],
  lastUsedMs,
});

/** Of each thing that it wants, the names of what would do. */
const ticket = (name: string, ...wants: string[][]): Ticket => ({
  name,
  content: {
    pid: 1,
    startTicks: 1,
    user: 'ann',
    request: 'uno',
    wants: wants.map((want) => want.map((each) => [each])),
    sinceMs: 1,
    command: 'true',
  },
});

const nothingElse = (): boolean => false;
const names = (devices: readonly PooledDevice[] | undefined): string[] | undefined =>
  devices?.map((each) => each.name);

describe('a turn', () => {
  test('brings the device that was used longest ago', () => {
    const { devices } = new TurnKeeper(nothingElse).decide({
      wants: [[a, b, c]],
      free: [free(a, 30), free(b, 10), free(c, 20)],
      inFront: [],
      nowMs: 0,
    });
    expect(names(devices)).toEqual(['b']);
  });

  test('is not ours while whoever is in front wants all that is free, and is when something is left', () => {
    const turns = new TurnKeeper(nothingElse);
    const inFront = [ticket('first', ['a', 'b'])];
    expect(turns.decide({ wants: [[a, b]], free: [free(a)], inFront, nowMs: 0 }).devices).toBeUndefined();
    expect(
      names(turns.decide({ wants: [[a]], free: [free(a), free(b)], inFront, nowMs: 0 }).devices),
    ).toEqual(['a']);
  });

  test('brings several devices, each its own, or none', () => {
    const turns = new TurnKeeper(nothingElse);
    const wants = [[a, b], [a]];
    expect(names(turns.decide({ wants, free: [free(a), free(b)], inFront: [], nowMs: 0 }).devices)).toEqual([
      'b',
      'a',
    ]);
    expect(turns.decide({ wants, free: [free(a)], inFront: [], nowMs: 0 }).devices).toBeUndefined();
  });

  test('does not bring two devices that share a lock', () => {
    const shared = [
      { device: a, claims: ['a', 'probe'], lastUsedMs: 0 },
      { device: b, claims: ['b', 'probe'], lastUsedMs: 0 },
    ];
    const request = { wants: [[a], [b]], free: shared, inFront: [], nowMs: 0 };
    expect(new TurnKeeper(nothingElse).decide(request).devices).toBeUndefined();
    const behind = { wants: [[b]], free: shared, inFront: [ticket('first', ['a'])], nowMs: 0 };
    expect(new TurnKeeper(nothingElse).decide(behind).devices).toBeUndefined();
  });
});

describe('somebody in front who waits for two devices', () => {
  const inFront = [ticket('both', ['a', 'b'], ['z'])];

  test('has one kept for as long as the other is not there, and no more than one', () => {
    const turns = new TurnKeeper(nothingElse);
    for (const nowMs of [0, 5000, 5_000_000]) {
      const one = turns.decide({ wants: [[a, b]], free: [free(a)], inFront, nowMs });
      expect(one).toEqual({ devices: undefined, decidedInMs: Number.POSITIVE_INFINITY });
    }
    const two = turns.decide({ wants: [[a, b]], free: [free(a), free(b)], inFront, nowMs: 6_000_000 });
    expect(two.devices).toHaveLength(1);
  });

  test('is overtaken a second after both were there, not a second after the first was', () => {
    let isFree = false;
    const turns = new TurnKeeper((claims) => isFree && claims.includes('z'));
    const request = { wants: [[a]], free: [free(a)], inFront };
    expect(turns.decide({ ...request, nowMs: 0 }).devices).toBeUndefined();
    isFree = true;
    expect(turns.decide({ ...request, nowMs: 5000 })).toEqual({ devices: undefined, decidedInMs: 1000 });
    expect(turns.decide({ ...request, nowMs: 5999 }).devices).toBeUndefined();
    expect(names(turns.decide({ ...request, nowMs: 6000 }).devices)).toEqual(['a']);
  });
});

describe('somebody in front who does not take what is free', () => {
  const inFront = [ticket('first', ['a']), ticket('second', ['a'])];
  const at = (turns: TurnKeeper, nowMs: number, lastUsedMs = 0): string[] | undefined =>
    names(turns.decide({ wants: [[a]], free: [free(a, lastUsedMs)], inFront, nowMs }).devices);

  test('is overtaken after a second, each one after a second of its own', () => {
    const turns = new TurnKeeper(nothingElse);
    expect([0, 999, 1000, 1999, 2000].map((nowMs) => at(turns, nowMs))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      ['a'],
    ]);
  });

  test('has a new second after every lease in between, also one that nobody saw', () => {
    const turns = new TurnKeeper(nothingElse);
    expect([0, 1000].map((nowMs) => at(turns, nowMs))).toEqual([undefined, undefined]);
    expect([2000, 3000, 3999].map((nowMs) => at(turns, nowMs, 7))).toEqual([undefined, undefined, undefined]);
    expect(at(turns, 4000, 7)).toEqual(['a']);
  });

  test('has a new second after the device was gone', () => {
    const turns = new TurnKeeper(nothingElse);
    expect([0, 1000].map((nowMs) => at(turns, nowMs))).toEqual([undefined, undefined]);
    turns.decide({ wants: [[a]], free: [], inFront, nowMs: 1500 });
    expect([2000, 3000].map((nowMs) => at(turns, nowMs))).toEqual([undefined, undefined]);
    expect(at(turns, 4000)).toEqual(['a']);
  });
});
