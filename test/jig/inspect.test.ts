import { describe, expect, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import type { CheckFinding } from '../../src/jig/check-finding.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { inspectTargets } from '../../src/jig/inspect.ts';
import { planTargets } from '../../src/jig/plan.ts';

const OUT = { chip_index: 0, direction: 'out' };
const LINES = [
  { ...OUT, name: 'forward', offset: 1 },
  { ...OUT, name: 'reverse', offset: 2 },
  { ...OUT, name: 'heater', offset: 3, maxActive: '2s' },
  { chip_index: 0, name: 'ready', offset: 4, direction: 'in' },
];

/** Uses every line and leaves it safe, so that only what a test is about is found. */
const IDLE = {
  name: 'idle',
  seq: [{ set: { forward: 0, reverse: 0, heater: 0 } }, { wait_for: 'ready', value: 1, within: 1 }],
};

function inspect(target: object, ...others: object[]): CheckFinding[] {
  const targets = [target, ...others].map((each, index) => ({
    name: `dut${index === 0 ? '' : index}`,
    gpios: [],
    sequences: [],
    ...each,
  }));
  return inspectTargets(
    planTargets(parse(JigConfig, { schema: 'sai-jig', targets }, 'jig.json'), 'jig.json'),
  );
}

/** Of a target with these sequences, and two lines that exclude each other. */
function found(sequences: Record<string, object[]>): CheckFinding[] {
  const written = Object.entries(sequences).map(([name, seq]) => ({ name, seq }));
  return inspect({
    gpios: LINES,
    interlocks: [['forward', 'reverse']],
    sequences: [...written, IDLE],
  });
}

const brief = (findings: readonly CheckFinding[]): string[] =>
  findings.map(({ severity, text }) => `${severity}: ${text}`);

const RULE =
  'expected at most one of reverse and forward active, got both; set forward to 0 first, or in the same step';
const END = 'ends with forward at 1 since seq.0; safe is 0';

describe('a sequence that makes two lines of an interlock active', () => {
  test('is an error with the step that does', () => {
    const go = [
      { gpio_name: 'forward', value: 1 },
      { value: 5 },
      { gpio_name: 'reverse', value: 1 },
      { set: { forward: 0, reverse: 0 } },
    ];
    expect(found({ go })).toEqual([
      {
        severity: 'error',
        code: 'interlock',
        blame: 'config',
        target: 'dut',
        sequence: 'go',
        step: 'seq.2',
        line: 'reverse',
        text: `dut/go: seq.2: reverse=1: ${RULE}`,
      },
    ]);
  });

  test.each<[string, object[], string[]]>([
    [
      'by a pulse',
      [
        { gpio_name: 'forward', value: 1 },
        { pulse: 'reverse', for: 5 },
        { gpio_name: 'forward', value: 0 },
      ],
      [`error: dut/go: seq.1: reverse=1 for 5 ms: ${RULE}`],
    ],
    [
      'by a call, and each time of a repeat',
      [
        { repeat: 3, seq: [{ gpio_name: 'forward', value: 1 }, { call: 'back' }] },
        { gpio_name: 'forward', value: 0 },
      ],
      [`error: dut/go: seq.0.seq.1.back.seq.0: reverse=1 for 5 ms: ${RULE}`],
    ],
    [
      'at once',
      [{ set: { reverse: 1, forward: 1 } }, { set: { reverse: 0, forward: 0 } }],
      [
        'error: dut/go: seq.0: reverse=1 and forward=1: expected at most one of reverse and forward active, got both; set only one of them',
      ],
    ],
    [
      'not where the first ends in the same step',
      [
        { gpio_name: 'forward', value: 1 },
        { set: { forward: 0, reverse: 1 } },
        { gpio_name: 'reverse', value: 0 },
      ],
      [],
    ],
    [
      'not where it said so before',
      [
        { pulse: 'forward', for: 1 },
        { pulse: 'reverse', for: 1 },
      ],
      [],
    ],
  ])('%s', (_how, go, expected) => {
    const back = [{ pulse: 'reverse', for: 5 }];
    expect(brief(found({ go, back }))).toEqual(expected);
  });
});

test('a sequence that is refused only after another is remarked on', () => {
  const findings = found({
    'go-forward': [{ gpio_name: 'forward', value: 1 }],
    'go-back': [{ set: { reverse: 1 } }, { value: 5 }, { pulse: 'reverse', for: 1 }],
    turn: [{ set: { reverse: 1, forward: 0 } }, { set: { reverse: 0 } }],
  });
  expect(brief(findings).filter((text) => text.includes('refused'))).toEqual([
    'remark: dut/go-forward: seq.0: forward=1 is refused after go-back, which leaves reverse active',
    'remark: dut/go-back: seq.0: reverse=1 is refused after go-forward, which leaves forward active',
  ]);
});

test('a sequence that is meant to be asked for after another is remarked on, and is no error', () => {
  const brake = { ...OUT, name: 'brake', offset: 1, safe: 1 };
  const drive = { ...OUT, name: 'drive', offset: 2 };
  const go = { name: 'go', seq: [{ pulse: 'drive', for: 5 }] };
  const loosen = { name: 'loosen', seq: [{ gpio_name: 'brake', value: 0 }] };
  const refused = (sequences: object[]): string[] =>
    brief(inspect({ gpios: [brake, drive], interlocks: [['brake', 'drive']], sequences })).filter((text) =>
      text.includes('go: seq.0'),
    );
  expect(refused([go, loosen])).toEqual([
    'remark: dut/go: seq.0: drive=1 for 5 ms is refused when all is safe, as brake is active then; it is not after loosen',
  ]);
  expect(refused([go])).toEqual([
    'error: dut/go: seq.0: drive=1 for 5 ms: expected at most one of drive and brake active, got both; set brake to 0 first, or in the same step',
  ]);
});

test('what is refused after many is told once, and takes no longer for it', () => {
  const forward = [
    { repeat: 4000, seq: [{ pulse: 'heater', for: 1 }] },
    { gpio_name: 'forward', value: 1 },
  ];
  const many = Array.from({ length: 20 }, (_, index) => [`f${index}`, forward] as const);
  const findings = found({ ...Object.fromEntries(many), back: [{ pulse: 'reverse', for: 1 }] });
  expect(brief(findings).filter((text) => text.includes('refused'))).toEqual([
    'remark: dut/back: seq.0: reverse=1 for 1 ms is refused after f0, f1, f2 and 17 more, which leave forward active',
  ]);
});

describe('a line with maxActive', () => {
  const on = { gpio_name: 'heater', value: 1 };
  const off = { gpio_name: 'heater', value: 0 };
  const wait = { wait_for: 'ready', value: 1, within: '5s' };

  test.each<[string, object[], string[]]>([
    ['may be active for less', [on, { value: 1999 }, off], []],
    [
      'may not be active for as long',
      [on, { value: '1s' }, { pulse: 'forward', for: '1s' }, off],
      ['error: dut/go: seq.0: heater=1: expected heater active for less than its maxActive, 2 s, got 2 s'],
    ],
    [
      'may not be active for longer at the end either',
      [{ value: 5 }, on, { value: '3s' }],
      [
        'error: dut/go: seq.1: heater=1: expected heater active for less than its maxActive, 2 s, got 3 s',
        'remark: dut/go: ends with heater at 1 since seq.1; safe is 0, where it goes after 2 s',
      ],
    ],
    ['may be active twice for less', [on, { value: '1s' }, off, on, { value: '1s' }, off], []],
    [
      'is remarked on where only a slow board makes it longer',
      [wait, on, { value: '1s' }, wait, off],
      [
        'remark: dut/go: seq.1: heater=1: heater may be active for up to 6 s; at its maxActive, 2 s, the sequence fails',
      ],
    ],
  ])('%s', (_what, go, expected) => {
    expect(brief(found({ go }))).toEqual(expected);
  });
});

describe('a sequence that does not leave a line safe', () => {
  test('is remarked on, with the step since which', () => {
    const go = [{ gpio_name: 'forward', value: 1 }, { value: 5 }, { gpio_name: 'forward', value: 1 }];
    expect(brief(found({ go, twice: [{ call: 'go' }, { pulse: 'forward', for: 1 }] }))).toEqual([
      `remark: dut/go: ${END}`,
      'remark: dut/twice: ends with forward at 1 since seq.0.go.seq.0; safe is 0',
    ]);
  });

  test('is not one that leaves it as it is when safe', () => {
    const gpios = [
      { ...OUT, name: 'on', offset: 1, safe: 1 },
      { ...OUT, name: 'boot', offset: 2, safe: 'release' },
    ];
    const sequences = [
      {
        name: 'a',
        seq: [
          { pulse: 'on', value: 0, for: 1 },
          { pulse: 'boot', for: 1 },
        ],
      },
      { name: 'b', seq: [{ set: { on: 0, boot: 0 } }] },
    ];
    expect(brief(inspect({ gpios, sequences }))).toEqual([
      'remark: dut/b: ends with on at 0 since seq.0; safe is 1',
      'remark: dut/b: ends with boot at 0 since seq.0; safe is "release"',
    ]);
  });
});

test('lines and power that no sequence uses are remarked on, and an outlet that two targets have', () => {
  const power = { kind: 'uhubctl', location: '1-1', port: 2, safe: 'keep' };
  const uses = [{ name: 'go', seq: [{ power: 'on' }] }];
  expect(brief(inspect({ gpios: LINES.slice(2), power }, { power, sequences: uses }))).toEqual([
    'remark: dut/heater: no sequence uses it',
    'remark: dut/ready: no sequence uses it',
    'remark: dut: no sequence switches its power',
    'remark: dut1: its power, hub 1-1, port 2, is that of dut as well',
  ]);
});
