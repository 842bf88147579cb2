import { expect, onTestFinished, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import { systemClock } from '../../src/jig/clock.ts';
import { JigConfig } from '../../src/jig/config.ts';
import type { GpioChip } from '../../src/jig/gpio.ts';
import { type ChipId, planTargets } from '../../src/jig/plan.ts';
import { SimulatedChip } from '../../src/jig/simulated-chip.ts';
import { type RunRequest, Target } from '../../src/jig/target.ts';
import { JigEvent } from '../../src/wire/jig.ts';
import { until } from '../until.ts';

const CONFIG = {
  schema: 'sai-jig',
  targets: [
    {
      name: 'dut',
      gpios: [
        { name: 'reset', chip_index: 0, offset: 0 },
        { name: 'power', chip_index: 1, offset: 0 },
        { name: 'led', chip_index: 1, offset: 1, direction: 'in', activeLow: true },
      ],
      sequences: [
        {
          name: 'both',
          seq: [{ gpio_name: 'reset', value: 1 }, { gpio_name: 'power', value: 1 }, { value: '1m' }],
        },
        { name: 'nothing', seq: [] },
        { name: 'leave', seq: [{ gpio_name: 'reset', value: 1 }] },
      ],
    },
  ],
};

/** A target whose lines are on two chips. */
async function bench(
  change: (opened: GpioChip) => void = () => {},
): Promise<{ target: Target; chips: readonly SimulatedChip[]; events: JigEvent[] }> {
  const chips = [new SimulatedChip('chip 0', ['']), new SimulatedChip('chip 1', ['', ''])];
  const events: JigEvent[] = [];
  const [plan] = planTargets(parse(JigConfig, CONFIG, 'jig.json'), 'jig.json');
  if (!plan) throw new Error('expected a target');
  const target = new Target(plan, {
    openChip: async (chip: ChipId) => {
      const opened: unknown = chip.kind === 'number' && (await chips[chip.number]?.open());
      change(opened as GpioChip);
      return opened as GpioChip;
    },
    clock: systemClock,
    onEvent: (event) => events.push(event),
    say: () => {},
  });
  onTestFinished(async () => await target[Symbol.asyncDispose]());
  await target.start();
  return { target, chips, events };
}

function asking(sequence: string): RunRequest {
  return { sequence, waitMs: 0, fence: undefined, gone: new AbortController().signal, onGone: 'finish' };
}

test('when one of its chips goes away, the lines on the other are made safe, and both are taken again', async () => {
  const { target, chips, events } = await bench();
  const run = target.run(asking('both'));
  await until(() => chips.every((chip) => chip.levelAt(0) === 1), 'both lines are active');
  chips[1]?.unplug();
  await expect(run).rejects.toMatchObject({
    code: 'line-unavailable',
    message: 'dut: chip 1: the chip has gone',
  });
  await until(() => chips[0]?.levelAt(0) === 0, 'the line of the other chip is let go of');
  expect(target.status()).toMatchObject({ state: 'unavailable', reason: 'chip 1: the chip has gone' });
  await expect(target.run(asking('nothing'))).rejects.toMatchObject({ code: 'line-unavailable' });
  chips[1]?.plug();
  await until(() => target.status().state === 'idle', 'it is back');
  expect(await target.run(asking('nothing'))).toMatchObject({ outcome: 'done' });
  expect(events.map(({ event }) => event)).toEqual([
    'started',
    'step',
    'step',
    'unavailable',
    'ended',
    'available',
    'started',
    'ended',
  ]);
});

test('when one of its chips goes away and is back at once, the lines on the other are taken from nobody but ourselves', async () => {
  const { target, chips } = await bench();
  await target.run(asking('leave'));
  chips[1]?.unplug();
  chips[1]?.plug();
  expect(await target.run(asking('nothing'))).toMatchObject({ outcome: 'done' });
  expect(chips.map((chip) => chip.levelAt(0))).toEqual([0, 0]);
});

test('disposed, it is over: what runs ends, nothing begins, and every line is free', async () => {
  const { target, chips } = await bench();
  const run = target.run(asking('both'));
  const waiting = target.run({ ...asking('nothing'), waitMs: 60_000 });
  await until(() => chips.every((chip) => chip.levelAt(0) === 1), 'both lines are active');
  const disposed = target[Symbol.asyncDispose]();
  await expect(run).rejects.toMatchObject({ code: 'stopping' });
  await expect(waiting).rejects.toMatchObject({ code: 'stopping' });
  await disposed;
  await expect(target.run(asking('nothing'))).rejects.toMatchObject({ code: 'stopping' });
  await expect(target.abort(undefined)).rejects.toMatchObject({ code: 'stopping' });
  for (const chip of chips) {
    expect(chip.levelAt(0)).toBe(0);
    await using opened = await chip.open();
    expect((await opened.lines())[0]?.consumer).toBeUndefined();
  }
});

test('a client that goes away ends its sequence, if it asked for that, before the next one can begin', async () => {
  const { target, chips } = await bench();
  const abort = new AbortController();
  const run = target.run({ ...asking('both'), gone: abort.signal, onGone: 'abort' });
  await until(() => chips.every((chip) => chip.levelAt(0) === 1), 'both lines are active');
  abort.abort(new Error('gone'));
  await expect(run).rejects.toThrow('gone');
  expect(chips.map((chip) => chip.levelAt(0))).toEqual([0, 0]);
});

test('what inputs carry is read when somebody looks, and not where their chip has gone', async () => {
  const { target, chips } = await bench();
  const shown = async (): Promise<unknown[]> =>
    (await target.look()).lines.map(({ name, value }) => [name, value]);
  const power = ['power', 0];
  expect(await shown()).toEqual([['reset', 0], power, ['led', 1]]);
  chips[1]?.driveFromBoard(1, 1);
  expect(await shown()).toEqual([['reset', 0], power, ['led', 0]]);
  expect(target.status().lines.at(-1)).toEqual({ name: 'led', direction: 'in' });
  chips[1]?.unplug();
  await until(() => target.status().state === 'unavailable', 'it is noticed');
  expect(await shown()).toEqual([
    ['reset', undefined],
    ['power', undefined],
    ['led', undefined],
  ]);
});

test('a chip that does not say what its inputs carry holds up nobody who looks', async () => {
  const { target } = await bench((opened) => {
    const request = opened.request.bind(opened);
    opened.request = async (...args) =>
      Object.assign(await request(...args), { get: () => new Promise<never>(() => {}) });
  });
  const { lines, state } = await target.look();
  expect({ state, led: lines.at(-1) }).toEqual({ state: 'idle', led: { name: 'led', direction: 'in' } });
});

test('an abort tells what it made safe, once, where no run that ends does', async () => {
  const { target, events } = await bench();
  await target.run(asking('leave'));
  events.splice(0);
  await target.abort(undefined);
  await target.abort(undefined);
  expect(events).toEqual([{ event: 'safe', atMs: expect.any(Number), target: 'dut', lines: ['reset'] }]);
});

test('each step that is told says where it stands in its sequence', async () => {
  const { target, events } = await bench();
  await target.run(asking('leave'));
  expect(events[1]).toMatchObject({ event: 'step', sequence: 'leave', step: 'seq.0', text: 'reset=1' });
  expect(events.map((event) => parse(JigEvent, event, 'event'))).toEqual(events);
});
