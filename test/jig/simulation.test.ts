import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import { systemClock } from '../../src/jig/clock.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { Jig } from '../../src/jig/jig.ts';
import { type LineValue, planTargets, sequenceAt } from '../../src/jig/plan.ts';
import { type Simulation, simulate, type Wire } from '../../src/jig/simulation.ts';
import { openSocketChip } from '../../src/jig/socket-chip.ts';
import type { Drive } from '../../src/wire/sim-chip.ts';
import { type RecordedDrive, RecordingBoard } from '../peers/recording-board.ts';
import { tempFolder } from '../temp-folder.ts';

const argv = ['false'];
const CONFIG = {
  schema: 'sai-jig',
  chips: { relays: { kind: 'command', lines: { k1: { high: argv, low: argv } } } },
};

const GPIOS = [
  { name: 'reset', chip_index: 0, offset: 17, activeLow: true, drive: 'open-drain' },
  { name: 'boot', chip: 'header', line: 'GPIO27', safe: 'release', activeLow: true },
  { name: 'k1', chip: 'relays', line: 'k1', maxActive: '2s' },
  { name: 'ready', chip: 'header', line: 'GPIO22', direction: 'in', activeLow: true },
];

async function play(
  seq: object[],
  { inputs = {}, ...more }: { inputs?: Record<string, LineValue>; [key: string]: unknown } = {},
): Promise<Simulation> {
  const target = { name: 'dut', gpios: GPIOS, sequences: [{ name: 'go', seq }], ...more };
  const targets = planTargets(parse(JigConfig, { ...CONFIG, targets: [target] }, 'jig.json'), 'jig.json');
  const found = sequenceAt(targets, 'dut/go');
  const values = new Map(Object.entries(inputs));
  return await simulate(found.target, found.sequence, values, new AbortController().signal);
}

/** `1` and `0` are driven levels, `(1)` and `(0)` those that the board gives. */
function shown(wires: ReadonlyMap<string, Wire>): string {
  const texts = [...wires].map(([name, { level, isDriven }]) => `${name} ${isDriven ? level : `(${level})`}`);
  return texts.join(', ');
}

function told({ moments, durationMs, failure }: Simulation): string[] {
  return [
    ...moments.map(({ atMs, changes, done }) => `${atMs} ${done?.text ?? '-'}: ${shown(changes)}`.trimEnd()),
    `${durationMs} ${failure?.message ?? 'end'}`,
  ];
}

test('lines begin safe, as chips and wiring make them', async () => {
  const { start } = await play([]);
  expect(shown(start)).toBe('reset (1), boot (1), ready (1), k1 0');
});

test('each step is told with the levels that it makes, in time that does not pass', async () => {
  const simulation = await play([
    { set: { boot: 1, k1: 1 } },
    { pulse: 'reset', for: '100ms' },
    { value: '1s' },
    { gpio_name: 'boot', value: 1 },
    { set: { boot: 0, k1: 0 } },
    { pulse: 'boot', for: 1 },
    { value: '20h' },
  ]);
  expect(told(simulation)).toEqual([
    '0 boot=1 and k1=1: boot 0, k1 1',
    '0 reset=1 for 100 ms: reset 0',
    '100 reset back to 0: reset (1)',
    '1100 boot=1:',
    '1100 boot=0 and k1=0: boot 1, k1 0',
    '1100 boot=1 for 1 ms: boot 0',
    '1101 boot back to 0: boot 1',
    '72001101 end',
  ]);
});

describe('an input', () => {
  test('does at once what is waited for', async () => {
    const wait = { wait_for: 'ready', within: '5s' };
    const seq = [
      { ...wait, edge: 'rising' },
      { ...wait, edge: 'rising' },
      { ...wait, edge: 'both' },
      { ...wait, value: 0 },
      { ...wait, value: 1 },
    ];
    expect(told(await play(seq))).toEqual([
      '0 wait for ready rising within 5000 ms: ready (0)',
      '0 -: ready (1)',
      '0 wait for ready rising within 5000 ms: ready (0)',
      '0 wait for ready both within 5000 ms: ready (1)',
      '0 wait for ready=0 within 5000 ms:',
      '0 wait for ready=1 within 5000 ms: ready (0)',
      '0 end',
    ]);
  });

  test('that keeps a value ends the sequence, and lines are made safe', async () => {
    const seq = [
      { gpio_name: 'k1', value: 1 },
      { wait_for: 'ready', value: 1, within: '1s' },
      { gpio_name: 'k1', value: 0 },
    ];
    expect(told(await play(seq, { inputs: { ready: 'inactive' } }))).toEqual([
      '0 k1=1: k1 1',
      '1000 -: k1 0',
      '1000 dut: go: seq.1: wait for ready=1 within 1000 ms: it did not come; ready is 0',
    ]);
    const { start, failure } = await play(seq, { inputs: { ready: 'active' } });
    expect({ start: shown(start), failure }).toMatchObject({ failure: undefined });
  });
});

test('what the config forbids ends the sequence as it would on a board', async () => {
  const long = await play([{ gpio_name: 'k1', value: 1 }, { value: '1h' }]);
  expect(told(long)).toEqual([
    '0 k1=1: k1 1',
    '2000 -: k1 0',
    '2000 dut: go: seq.1: pause 3600000 ms: k1 was active for 2 s, its longest time; shorten the sequence, or set another maxActive',
  ]);
  const seq = [
    { gpio_name: 'boot', value: 1 },
    { gpio_name: 'k1', value: 1 },
  ];
  const { failure } = await play(seq, { interlocks: [['boot', 'k1']] });
  expect(failure).toMatchObject({ code: 'interlocked', blame: 'config' });
});

test('power and servers answer at once, and only minOff is waited for', async () => {
  const power = { kind: 'command', on: argv, off: argv, safe: 'off', minOff: '2s', minInterval: '1m' };
  const seq = [
    { power: 'on' },
    { power: 'off' },
    { power: 'on' },
    { http: 'http://192.0.2.1/x', expect: 204 },
  ];
  expect(told(await play(seq, { power, requireFence: true }))).toEqual([
    '0 power on:',
    '0 power off:',
    '60000 power on:',
    '60000 GET http://192.0.2.1/x:',
    '60000 end',
  ]);
});

test('a sequence of thousands of steps is told whole', async () => {
  const { moments, durationMs } = await play([
    { repeat: 2500, seq: [{ pulse: 'k1', for: '1s' }, { value: 1000 }] },
  ]);
  expect(moments).toHaveLength(5000);
  expect(durationMs).toBe(5_000_000);
});

describe('a board sees on its wires what is simulated', () => {
  const lines = [
    { name: 'reset', line: 'reset', drive: 'open-drain', activeLow: true },
    { name: 'boot', line: 'boot', safe: 'release' },
    { name: 'power', line: 'power', safe: 1, activeLow: true },
    { name: 'heater', line: 'heater', drive: 'open-source' },
    { name: 'led', line: 'led', direction: 'in' },
  ];

  /** Changes alone, as a meter would see them: a value that is set again is none. */
  function changesOf(drives: readonly RecordedDrive[]): string[] {
    const now = new Map<string, Drive>();
    return drives.flatMap(({ line, drive }) => {
      if (now.get(line) === drive) return [];
      now.set(line, drive);
      return [`${line} ${drive}`];
    });
  }

  test.each<[string, object[], string | undefined]>([
    [
      'of levels, pulses and what is let go of',
      [
        { set: { boot: 1, power: 0, reset: 1 } },
        { pulse: 'boot', value: 0, for: 1 },
        { repeat: 2, seq: [{ pulse: 'reset', value: 0, for: 6 }, { call: 'tap' }] },
        { wait_for: 'led', value: 0, within: '1m' },
        { set: { reset: 0, power: 1 } },
      ],
      undefined,
    ],
    [
      'of lines that exclude each other, until they do not',
      [
        { set: { heater: 1 } },
        { set: { boot: 1, heater: 0 } },
        { value: 5 },
        { set: { heater: 1, boot: 0 } },
        { gpio_name: 'boot', value: 1 },
        { gpio_name: 'reset', value: 1 },
      ],
      'interlocked',
    ],
    [
      'of what is active for too long',
      [{ gpio_name: 'reset', value: 1 }, { gpio_name: 'heater', value: 1 }, { value: '1m' }],
      'active-too-long',
    ],
  ])('%s', async (_what, seq, code) => {
    const chip = join(tempFolder(), 'dut.chip');
    const board = new RecordingBoard(['reset', 'boot', 'power', 'heater'], ['led']);
    await using _server = await board.serve(chip);
    const target = {
      name: 'dut',
      // Where time is not to be up, none is too long for a slow host.
      gpios: lines.map((line) => ({
        ...line,
        chip,
        ...(line.name === 'heater' ? { maxActive: code === 'active-too-long' ? 50 : '1h' } : {}),
      })),
      interlocks: [['boot', 'heater']],
      sequences: [
        { name: 'go', seq },
        { name: 'tap', seq: [{ pulse: 'boot', for: 3 }] },
      ],
    };
    const targets = planTargets(parse(JigConfig, { ...CONFIG, targets: [target] }, 'jig.json'), 'jig.json');
    const found = sequenceAt(targets, 'dut/go');
    const { signal } = new AbortController();
    const { start, moments, failure } = await simulate(found.target, found.sequence, new Map(), signal);
    const outputs = ([line, wire]: [string, Wire]): RecordedDrive[] =>
      line === 'led' ? [] : [{ line, drive: wire.isDriven ? wire.level : 'released' }];
    const simulated = [start, ...moments.map(({ changes }) => changes)].flatMap((wires) =>
      [...wires].flatMap(outputs),
    );

    await using jig = await Jig.start(targets, {
      openChip: () => openSocketChip(chip),
      clock: systemClock,
      onEvent: () => {},
      say: () => {},
    });
    const run = { sequence: 'go', waitMs: 0, fence: undefined, gone: signal, onGone: 'abort' } as const;
    const outcome = await jig.targets
      .get('dut')
      ?.run(run)
      .catch((error: unknown) => error);
    expect(changesOf(board.lines.history)).toEqual(changesOf(simulated));
    expect(failure?.code).toBe(code);
    expect((outcome as { code?: string }).code).toBe(code);
  });
});
