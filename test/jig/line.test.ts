import { expect, test } from 'vitest';
import { ActiveLimit } from '../../src/jig/active-limit.ts';
import type { LineRequest } from '../../src/jig/gpio.ts';
import { Line } from '../../src/jig/line.ts';
import type { LinePlan, LineValue, OutputValue } from '../../src/jig/plan.ts';
import { SimulatedChip } from '../../src/jig/simulated-chip.ts';

function plan(activeLow: boolean, safe?: OutputValue): LinePlan {
  const output =
    safe === undefined ? undefined : ({ mode: 'push-pull', safe, maxActiveMs: undefined } as const);
  const chip = { kind: 'number', number: 0 } as const;
  return {
    name: 'line',
    chip,
    at: 0,
    wire: undefined,
    activeLow,
    bias: 'pull-up',
    debounceMs: undefined,
    output,
  };
}

/** `1`, `0`; pulled up where it is let go of. */
async function levelsOf(activeLow: boolean, safe: OutputValue, ...values: OutputValue[]): Promise<number[]> {
  const wires = new SimulatedChip('chip 0', ['line']);
  const chip = await wires.open();
  const wanted = plan(activeLow, safe);
  const line = new Line(wanted, 0, await chip.request('a test', new Map([[0, Line.settings(wanted)]])));
  expect(line.value).toBe(safe);
  const levels: number[] = [wires.levelAt(0)];
  for (const value of values) {
    await line.drive(value);
    expect(line.value).toBe(value);
    levels.push(wires.levelAt(0));
  }
  await chip[Symbol.asyncDispose]();
  return levels;
}

test('an active line is high, and low when it is active low, from its first moment on', async () => {
  expect(await levelsOf(false, 'inactive', 'active', 'inactive')).toEqual([0, 1, 0]);
  expect(await levelsOf(true, 'inactive', 'active', 'inactive')).toEqual([1, 0, 1]);
  expect(await levelsOf(false, 'active', 'released')).toEqual([1, 1]);
  expect(await levelsOf(true, 'active', 'released')).toEqual([0, 1]);
});

test.each([
  [false, ['active', 'inactive']],
  [true, ['inactive', 'active']],
])('an input with activeLow %s tells its values in the same way', async (activeLow, values) => {
  const wires = new SimulatedChip('chip 0', ['line']);
  wires.driveFromBoard(0, 0);
  await using chip = await wires.open();
  const wanted = plan(activeLow);
  const line = new Line(wanted, 0, await chip.request('a test', new Map([[0, Line.settings(wanted)]])));
  const changes: LineValue[] = [];
  const stop = line.onChange((value) => changes.push(value));
  wires.driveFromBoard(0, 1);
  expect(await line.read()).toBe(values[0]);
  wires.driveFromBoard(0, 0);
  expect(await line.read()).toBe(values[1]);
  stop();
  wires.driveFromBoard(0, 1);
  expect(changes).toEqual(values);
});

/** An output of a chip that does as it is told when the test says so. */
async function slow() {
  const chip = await new SimulatedChip('chip 0', ['line']).open();
  const request = await chip.request('a test', new Map([[0, Line.settings(plan(false, 'inactive'))]]));
  const waiting: (() => void)[] = [];
  const set = async (): Promise<void> => await new Promise((resolve) => waiting.push(resolve));
  const pulsed: unknown[] = [];
  const pulse: NonNullable<LineRequest['pulse']> = async (...args) => {
    pulsed.push(args);
    return { beganMs: 0, endedMs: 1 };
  };
  const counting: AbortSignal[] = [];
  const clock = {
    nowMs: () => 0,
    sleepUntil: (_atMs: number, signal: AbortSignal) => {
      counting.push(signal);
      return new Promise<never>(() => {});
    },
  };
  const limit = new ActiveLimit(1000, clock, () => {});
  const line = new Line(plan(false, 'inactive'), 0, Object.assign(request, { set, pulse }), limit);
  const done = (): void => waiting.shift()?.();
  return { line, done, pulsed, counts: () => counting.map(({ aborted }) => !aborted) };
}

test.each([
  ['alone', (line: Line, value: OutputValue) => line.drive(value)],
  ['with others', (line: Line, value: OutputValue) => Line.driveAll(new Map([[line, value]]))],
])(
  'a line that is asked to be active again before it was inactive, %s, is active, and counts anew',
  async (_, drive) => {
    const { line, done, counts } = await slow();
    const first = drive(line, 'active');
    done();
    await first;
    const off = drive(line, 'inactive');
    const on = drive(line, 'active');
    done();
    await off;
    expect(line.value).toBe('active');
    expect(counts()).toEqual([false, true]);
    done();
    await on;
    expect(line.value).toBe('active');
    const last = drive(line, 'inactive');
    done();
    await last;
    expect(line.value).toBe('inactive');
    expect(counts()).toEqual([false, false]);
  },
);

test('a pulse ends with what was asked for before it, done or not', async () => {
  const { line, done, pulsed } = await slow();
  const on = line.drive('active');
  done();
  await on;
  const off = line.drive('inactive');
  await line.pulse('active', 1);
  expect(pulsed).toEqual([[new Map([[0, 1]]), new Map([[0, 0]]), 1]]);
  done();
  await off;
  expect(line.value).toBe('inactive');
});
