import { expect, test } from 'vitest';
import { PeerError } from '../../src/jig/peer-error.ts';
import { PowerSwitch } from '../../src/jig/power.ts';
import type { PowerPlan } from '../../src/jig/power-plan.ts';
import { VirtualClock } from './virtual-clock.ts';

const NEVER = new AbortController().signal;

function bench(plan: Partial<PowerPlan>): {
  power: PowerSwitch;
  clock: VirtualClock;
  turns: string[];
  fail: (times: number) => void;
} {
  const clock = new VirtualClock();
  const startMs = clock.nowMs();
  const turns: string[] = [];
  let failures = 0;
  const outlet = { kind: 'uhubctl', location: '1-1', port: 1, withinMs: 1 } as const;
  const power = new PowerSwitch(
    { outlet, safe: 'off', minOffMs: 0, minIntervalMs: 0, ...plan },
    async (value) => {
      turns.push(`${clock.nowMs() - startMs} ${value}`);
      if (failures-- > 0) throw new PeerError('peer-unavailable', 'gone');
    },
    clock,
  );
  return { power, clock, turns, fail: (times) => (failures = times) };
}

test('a board is off for its time before it is on again, and off is never held back', async () => {
  const { power, clock, turns } = bench({ minOffMs: 2000 });
  clock.pass(5000);
  for (const value of ['on', 'off', 'on', 'off', 'off'] as const) await power.turn(value, NEVER);
  expect(turns).toEqual(['5000 on', '5000 off', '7000 on', '7000 off', '7000 off']);
  clock.pass(500);
  await power.turn('on', NEVER);
  expect(turns.at(-1)).toBe('9000 on');
});

test('an outlet is switched on no more often than it may be', async () => {
  const { power, turns, clock } = bench({ minIntervalMs: 10_000 });
  clock.pass(10_000);
  for (const value of ['on', 'off', 'on', 'off', 'on'] as const) await power.turn(value, NEVER);
  expect(turns).toEqual(['10000 on', '10000 off', '20000 on', '20000 off', '30000 on']);
});

test('what is on already is told again at once, and does not count', async () => {
  const { power, turns, clock } = bench({ minIntervalMs: 10_000 });
  clock.pass(10_000);
  await power.turn('on', NEVER);
  clock.pass(9000);
  await power.turn('on', NEVER);
  await power.turn('off', NEVER);
  await power.turn('on', NEVER);
  expect(turns).toEqual(['10000 on', '19000 on', '19000 off', '20000 on']);
});

test('nobody knows when it was switched before the jig: that counts from its start', async () => {
  const { power, turns } = bench({ minOffMs: 2000, minIntervalMs: 3000 });
  expect(power.state).toBeUndefined();
  await power.turn('on', NEVER);
  expect(turns).toEqual(['3000 on']);
  expect(power.state).toBe('on');
});

test('what failed to switch is unknown, and may have switched', async () => {
  const { power, turns, clock, fail } = bench({ minOffMs: 2000, minIntervalMs: 3000 });
  clock.pass(5000);
  fail(2);
  await expect(power.turn('on', NEVER)).rejects.toThrow('gone');
  expect(power.state).toBeUndefined();
  await expect(power.turn('off', NEVER)).rejects.toThrow('gone');
  await power.turn('on', NEVER);
  expect(turns).toEqual(['5000 on', '5000 off', '8000 on']);
});

test('an abort ends the wait, and nothing is switched', async () => {
  const { power, turns, clock } = bench({ minOffMs: 2000 });
  const abort = new AbortController();
  clock.onSleep = () => abort.abort(new Error('enough'));
  await expect(power.turn('on', abort.signal)).rejects.toThrow('enough');
  expect(turns).toEqual([]);
});

test.each([
  ['off', ['5000 off']],
  ['on', ['5000 on']],
  ['keep', []],
] as const)('its safe value is %s, for which only the time off is waited', async (safe, expected) => {
  const { power, turns, clock } = bench({ safe, minOffMs: 5000, minIntervalMs: 60_000 });
  if (safe === 'off') clock.pass(5000);
  await power.makeSafe();
  expect(turns).toEqual(expected);
});

test('it is left safe only where somebody switched it since, and it is not known to be safe', async () => {
  const { power, turns, fail } = bench({ safe: 'off' });
  await power.leaveSafe();
  expect(turns).toEqual([]);
  await power.turn('on', NEVER);
  await power.leaveSafe();
  await power.leaveSafe();
  expect(turns).toEqual(['0 on', '0 off']);
  fail(1);
  await expect(power.turn('off', NEVER)).rejects.toThrow('gone');
  await power.leaveSafe();
  expect(turns).toEqual(['0 on', '0 off', '0 off', '0 off']);
});

test('what was never told is not made safe: a wait that ends early leaves the outlet as it was', async () => {
  const { power, turns } = bench({ minOffMs: 2000, safe: 'on' });
  const stop = new AbortController();
  stop.abort(new Error('stopped'));
  await expect(power.makeSafe(stop.signal)).rejects.toThrow('stopped');
  await power.leaveSafe();
  expect(turns).toEqual([]);
  await power.makeSafe();
  expect(turns).toEqual(['2000 on']);
});
