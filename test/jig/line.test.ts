import { expect, test } from 'vitest';
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
