import { expect, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { planTargets, sequenceAt } from '../../src/jig/plan.ts';
import { simulate } from '../../src/jig/simulation.ts';
import { ASCII, type Glyphs, transitions, UNICODE, waveform } from '../../src/jig/waveform.ts';

const GPIOS = [
  { name: 'reset', chip_index: 0, offset: 17, activeLow: true },
  { name: 'boot', chip_index: 0, offset: 27, safe: 'release' },
  { name: 'ready', chip_index: 0, offset: 22, direction: 'in' },
];
const GO = [
  { gpio_name: 'boot', value: 1 },
  { pulse: 'reset', for: '100ms' },
  { value: 50 },
  { wait_for: 'ready', value: 1, within: '1s' },
];

async function drawn(
  seq: object[],
  columns: number,
  glyphs: Glyphs = UNICODE,
  gpios: object[] = GPIOS,
): Promise<string> {
  const targets = [{ name: 'dut', gpios, sequences: [{ name: 'go', seq }] }];
  const plan = planTargets(parse(JigConfig, { schema: 'sai-jig', targets }, 'jig.json'), 'jig.json');
  const { target, sequence } = sequenceAt(plan, 'dut/go');
  const simulation = await simulate(target, sequence, new Map(), new AbortController().signal);
  return waveform(target, sequence, simulation, { columns, glyphs });
}

test('lines, steps and times stand under each other', async () => {
  expect(await drawn(GO, 60)).toBe(`dut/go

reset (1=low) ▔▔▔▔▔▔╲▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁╱▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔
boot          ┄┄┄╱▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔
ready (in)    ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁╱▔▔
              ───┴──┴──────────────────────┴─────────────┴──
step             1  2                      3             4
ms               0                         100           150

 1    0 ms  boot=1
 2    0 ms  reset=1 for 100 ms
 3  100 ms  reset back to 0
 4  150 ms  wait for ready=1 within 1000 ms
    150 ms  end

(▔ high, ▁ low, ┄ let go of; 1 is the low level of reset; time is not to scale)
`);
});

test('the same can be drawn with ASCII', async () => {
  const text = await drawn(GO, 60, ASCII);
  expect(text).toMatch(/^[\x20-\x7e\n]*$/);
  expect(text).toBe(`dut/go

reset (1=low) """"""\\______________________/""""""""""""""""
boot          .../""""""""""""""""""""""""""""""""""""""""""
ready (in)    ___________________________________________/""
              ---+--+----------------------+-------------+--
step             1  2                      3             4
ms               0                         100           150

 1    0 ms  boot=1
 2    0 ms  reset=1 for 100 ms
 3  100 ms  reset back to 0
 4  150 ms  wait for ready=1 within 1000 ms
    150 ms  end

(" high, _ low, . let go of; 1 is the low level of reset; time is not to scale)
`);
});

test.each([10, 20, 40, 80, 200])(
  'no wave is wider than %d columns, or than the least that says something',
  async (columns) => {
    const seq = [...GO, { repeat: 20, seq: [{ pulse: 'reset', for: 7 }, { value: '2s' }] }];
    const lines = (await drawn(seq, columns)).split('\n').filter((line) => /[▔▁┄─]{3}/.test(line));
    const longest = Math.max(...lines.map((line) => line.length));
    expect(longest).toBeLessThanOrEqual(Math.max(columns, 'reset (1=low) '.length + 12));
  },
);

test('moments for which there is no room are drawn below, each line going on as it was', async () => {
  const seq = [{ repeat: 4, seq: [{ pulse: 'reset', for: 10 }, { value: 10 }] }];
  expect(await drawn(seq, 32, UNICODE, GPIOS.slice(0, 1))).toBe(`dut/go

reset (1=low) ▔▔▔╲▁▁╱▔▔╲▁▁╱▔▔╲▁▁
              ───┴──┴──┴──┴──┴──
step             1  2  3  4  5
ms               0  10 20 30 40

reset (1=low) ▁▁▁╱▔▔▔▔╲▁▁▁▁╱▔▔▔▔
              ───┴────┴────┴────
step             6    7    8
ms               50   60   70 80

 1   0 ms  reset=1 for 10 ms
 2  10 ms  reset back to 0
 3  20 ms  reset=1 for 10 ms
 4  30 ms  reset back to 0
 5  40 ms  reset=1 for 10 ms
 6  50 ms  reset back to 0
 7  60 ms  reset=1 for 10 ms
 8  70 ms  reset back to 0
    80 ms  end

(▔ high, ▁ low, ┄ let go of; 1 is the low level of reset; time is not to scale)
`);
});

test('a short pulse in a long sequence is seen, and a sequence of nothing is a level', async () => {
  const seq = [{ value: '1h' }, { pulse: 'reset', for: 1 }, { value: '1h' }];
  expect((await drawn(seq, 40, UNICODE, GPIOS.slice(0, 1))).split('\n')[2]).toMatch(
    /^reset \(1=low\) ▔+╲▁▁╱▔+$/,
  );
  expect((await drawn([], 40, UNICODE, GPIOS.slice(0, 1))).split('\n')[2]).toMatch(/^reset \(1=low\) ▔+$/);
});

test('programs get every level, and which step made it', async () => {
  const targets = [{ name: 'dut', gpios: GPIOS, sequences: [{ name: 'go', seq: GO.slice(0, 2) }] }];
  const plan = planTargets(parse(JigConfig, { schema: 'sai-jig', targets }, 'jig.json'), 'jig.json');
  const { target, sequence } = sequenceAt(plan, 'dut/go');
  const simulation = await simulate(target, sequence, new Map(), new AbortController().signal);
  expect(transitions(target, simulation)).toEqual([
    { event: 'level', atMs: 0, line: 'reset', level: 1, value: 0, letGo: false },
    { event: 'level', atMs: 0, line: 'boot', level: 0, value: 0, letGo: true },
    { event: 'level', atMs: 0, line: 'ready', level: 0, value: 0 },
    { event: 'level', atMs: 0, line: 'boot', level: 1, value: 1, letGo: false, step: 'seq.0' },
    { event: 'step', atMs: 0, step: 'seq.0', text: 'boot=1' },
    { event: 'level', atMs: 0, line: 'reset', level: 0, value: 1, letGo: false, step: 'seq.1' },
    { event: 'step', atMs: 0, step: 'seq.1', text: 'reset=1 for 100 ms' },
    { event: 'level', atMs: 100, line: 'reset', level: 1, value: 0, letGo: false, step: 'seq.1' },
    { event: 'step', atMs: 100, step: 'seq.1', text: 'reset back to 0' },
    { event: 'end', atMs: 100 },
  ]);
});
