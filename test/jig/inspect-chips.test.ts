import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { parse } from '../../src/base/validate.ts';
import type { CheckFinding } from '../../src/jig/check-finding.ts';
import { type SurveyedChip, surveyChips } from '../../src/jig/chip-survey.ts';
import type { Backend } from '../../src/jig/chips.ts';
import { systemClock } from '../../src/jig/clock.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { inspectChips } from '../../src/jig/inspect-chips.ts';
import { planTargets, type TargetPlan } from '../../src/jig/plan.ts';
import { openSocketChip } from '../../src/jig/socket-chip.ts';
import { TargetLines } from '../../src/jig/target-lines.ts';
import { RecordingBoard } from '../peers/recording-board.ts';
import { tempFolder } from '../temp-folder.ts';

const argv = ['false'];
const CARE = { clock: systemClock, onOverdue: () => {}, say: () => {} };

/** Each line in a target of its own: `a`, `b`, … */
function planOf(gpios: readonly object[], chips: object = {}): TargetPlan[] {
  const targets = gpios.map((gpio, index) => ({
    name: String.fromCharCode(97 + index),
    gpios: [{ name: 'x', ...gpio }],
    sequences: [],
  }));
  return planTargets(parse(JigConfig, { schema: 'sai-jig', chips, targets }, 'jig.json'), '/lab/jig.json');
}

const brief = (findings: readonly CheckFinding[]): string[] =>
  findings.map(({ severity, code, text }) => `${severity} ${code}: ${text}`);

/** As chips of this host would be, if it had them; what is not listed is not there. */
async function found(gpios: readonly object[], there: Record<string, SurveyedChip> = {}): Promise<string[]> {
  return brief(await inspectChips(planOf(gpios), new Map(Object.entries(there))));
}

const HEADER: SurveyedChip = {
  identity: 'gpiochip0',
  name: 'gpiochip0 (header)',
  lines: ['GPIO0', 'GPIO1', 'twin', 'twin'].map((name, offset) => ({ offset, name, consumer: undefined })),
};
const ALIKE = { 'chip 0': HEADER, 'chip header': HEADER, '/dev/gpiochip0': HEADER };

describe('a line that is there under two names', () => {
  test.each<[string, object, object]>([
    ['its number and its name', { chip_index: 0, offset: 1 }, { chip_index: 0, line: 'GPIO1' }],
    ["its chip's number and label", { chip_index: 0, offset: 1 }, { chip: 'header', offset: 1 }],
    ["its chip's label and node", { chip: 'header', line: 'GPIO1' }, { chip: '/dev/gpiochip0', offset: 1 }],
  ])('by %s is an error', async (_how, one, other) => {
    expect(await found([one, other], ALIKE)).toEqual([
      'error same-wire: gpiochip0 (header), line 1: expected each line of a chip once, got it as a/x and b/x',
    ]);
    expect(await found([one, { chip: 'header', offset: 0 }], ALIKE)).toEqual([]);
  });

  test('is one where nothing but names can be asked', async () => {
    const folder = tempFolder();
    for (const file of ['ttyUSB0', 'board']) writeFileSync(join(folder, file), '');
    for (const file of ['ttyUSB0', 'board']) symlinkSync(file, join(folder, `${file}-link`));
    const chips = {
      one: { kind: 'modem', tty: join(folder, 'ttyUSB0') },
      two: { kind: 'modem', tty: join(folder, 'ttyUSB0-link') },
    };
    const pairs = [
      [
        { chip: 'one', line: 'rts' },
        { chip: 'two', offset: 1 },
      ],
      [
        { chip: join(folder, 'board'), offset: 1 },
        { chip: join(folder, 'board-link'), offset: 1 },
      ],
      [
        { chip: 'gpiochip3', offset: 1 },
        { chip_index: 3, offset: 1 },
      ],
      [
        { chip: '/dev/gpiochip3', line: 'X' },
        { chip_index: 3, line: 'X' },
      ],
    ];
    for (const pair of pairs) {
      const targets = planOf(pair, chips);
      const findings = await inspectChips(targets, await surveyChips(targets, 'simulated'));
      expect(findings).toMatchObject([
        { severity: 'error', code: 'same-wire', blame: 'config', target: 'b' },
      ]);
    }
  });
});

describe('a chip', () => {
  test.each<[string, object, string]>([
    [
      'a name that it has not',
      { chip_index: 0, line: 'GPIO9' },
      'a/x: expected a line of gpiochip0 (header), one of GPIO0, GPIO1, twin, twin, got "GPIO9"',
    ],
    [
      'a name that two lines have',
      { chip_index: 0, line: 'twin' },
      'a/x: expected the name of one line of gpiochip0 (header), lines 2 and 3 have the name "twin"; name one by its offset',
    ],
    [
      'an offset that it has not',
      { chip_index: 0, offset: 4 },
      "a/x: gpiochip0 (header): line 4: expected an offset below 4, the chip's number of lines",
    ],
  ])('that is there refuses %s', async (_what, gpio, text) => {
    expect(await found([gpio], ALIKE)).toEqual([`error chip-refuses: ${text}`]);
  });

  test('whose line somebody holds is remarked on, unless that is our daemon', async () => {
    const gpio = { chip_index: 0, offset: 0 };
    const held = (consumer: string): Record<string, SurveyedChip> => ({
      'chip 0': { ...HEADER, lines: [{ offset: 0, name: '', consumer }] },
    });
    for (const other of ['gpioset', 'sai-jig b']) {
      expect(await found([gpio], held(other))).toEqual([
        `remark line-held: a/x: gpiochip0 (header), line 0 is held by ${other}; while it is, the jig does not start`,
      ]);
    }
    expect(await found([gpio], held('sai-jig a'))).toEqual([]);
  });

  test('that is away is remarked on once, and one that cannot be told from another is an error', async () => {
    const away = (blame: 'unavailable' | 'config'): Record<string, SurveyedChip> => ({
      'chip 0': {
        identity: 'x',
        name: 'x',
        lines: undefined,
        failure: new RigError(blame, 'chip 0: which?'),
      },
    });
    const both = [
      { chip_index: 0, offset: 0 },
      { chip_index: 0, offset: 1 },
    ];
    expect(await found(both, away('unavailable'))).toEqual([
      'remark chip-not-asked: chip 0: which?; so it is not known whether its lines are there, and are used once',
    ]);
    expect(await found(both, away('config'))).toEqual(['error config: chip 0: which?']);
  });

  test.each<[string, object, string]>([
    ['an input', { direction: 'in' }, 'chip relays: k1: expected an output, a command is no input'],
    ['a bias', { bias: 'pull-up' }, 'chip relays: k1: expected no bias, commands have none'],
    [
      'to be let go of',
      { safe: 'release' },
      'chip relays: k1: expected a "release" command, to let go of it',
    ],
    [
      'an input',
      { chip: 'usb', line: 'rts', direction: 'in' },
      '/dev/ttyUSB0: rts: expected an output, a modem line is no input',
    ],
    ['a line', { line: 'k2' }, 'a/x: expected a line of chip relays, one of k1, got "k2"'],
  ])('that is none refuses %s as at the start, and nothing is run or opened', async (_what, gpio, text) => {
    const chips = {
      relays: { kind: 'command', lines: { k1: { high: argv, low: argv } } },
      usb: { kind: 'modem', tty: '/dev/ttyUSB0' },
    };
    const targets = planOf([{ chip: 'relays', line: 'k1', ...gpio }], chips);
    const findings = await inspectChips(targets, await surveyChips(targets, 'auto'));
    expect(brief(findings)).toEqual([`error chip-refuses: ${text}`]);
  });
});

test('a virtual board is asked for its lines, and none is requested', async () => {
  const chip = join(tempFolder(), 'dut.chip');
  const board = new RecordingBoard(['reset'], ['led']);
  await using _server = await board.serve(chip);
  const targets = planOf([
    { chip, line: 'reset' },
    { chip, offset: 0 },
    { chip, line: 'rest' },
  ]);
  const findings = await inspectChips(targets, await surveyChips(targets, 'auto'));
  expect(brief(findings)).toEqual([
    `error chip-refuses: c/x: expected a line of ${chip}, one of reset, led, got "rest"`,
    `error same-wire: ${chip}, line 0: expected each line of a chip once, got it as a/x and b/x`,
  ]);
  expect(board.lines.history).toEqual([]);
});

test('a virtual board refuses what it has not, as it does at the start', async () => {
  const chip = join(tempFolder(), 'dut.chip');
  const board = new RecordingBoard(['reset'], ['led']);
  await using _server = await board.serve(chip);
  const gpios = [
    { chip, line: 'reset', bias: 'pull-up' },
    { chip, offset: 1, direction: 'in', debounce: '5ms' },
    { chip, line: 'led' },
  ];
  for (const [index, text] of [
    `${chip}: line reset: expected no bias, the board's resistors are its own`,
    `${chip}: line led: expected no debounce, no contact of this board bounces`,
    `${chip}: line led: expected a line that can be driven, the board drives it`,
  ].entries()) {
    const targets = planOf(gpios.slice(index, index + 1));
    const findings = await inspectChips(targets, await surveyChips(targets, 'auto'));
    expect(brief(findings)).toEqual([`error chip-refuses: ${text}`]);
    const [target] = targets;
    const taken = target && TargetLines.take(target, { ...CARE, openChip: () => openSocketChip(chip) });
    await expect(taken).rejects.toThrow(
      text.replace(`${chip}: line led: expected a line`, 'expected a line'),
    );
  }
});

describe('a chip of the kernel refuses, also where it is away', () => {
  async function refused(gpios: object[], backend: Backend): Promise<string[]> {
    const target = {
      name: 'a',
      gpios: gpios.map((gpio, index) => ({ name: `x${index}`, chip_index: 0, offset: index, ...gpio })),
      sequences: [],
    };
    const config = parse(JigConfig, { schema: 'sai-jig', targets: [target] }, 'jig.json');
    return brief(await inspectChips(planTargets(config, 'jig.json'), new Map(), backend));
  }
  const inputs = (count: number): object[] =>
    Array.from({ length: count }, (_, index) => ({ direction: 'in', debounce: index + 1 }));

  test('more lines, or more kinds of them, than a request has', async () => {
    expect(await refused(Array<object>(64).fill({}), 'auto')).toEqual([]);
    expect(await refused(Array<object>(65).fill({}), 'auto')).toEqual([
      'error chip-refuses: chip 0: expected at most 64 lines of a direction in one target, got 65',
    ]);
    expect(await refused(inputs(10), 'auto')).toEqual([]);
    expect(await refused(inputs(11), 'uapi')).toEqual([
      'error chip-refuses: chip 0: expected lines of at most 10 kinds (drive, bias, debounce) in one target, got 11; make it two targets',
    ]);
    expect(await refused(inputs(11), 'simulated')).toEqual([]);
  });

  test('a debounce that libgpiod has not', async () => {
    expect(await refused(inputs(1), 'libgpiod')).toEqual([
      'error chip-refuses: chip 0: line 0: expected no debounce, libgpiod 1.x has none; use --backend uapi',
    ]);
  });
});
