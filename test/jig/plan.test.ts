import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageFile } from '../../src/base/package-file.ts';
import { loadJigConfig } from '../../src/jig/config.ts';
import { planTargets, type TargetPlan } from '../../src/jig/plan.ts';
import { tempFolder } from '../temp-folder.ts';

async function plan(config: unknown): Promise<{ file: string; targets: TargetPlan[] }> {
  const file = join(tempFolder(), 'jig.json');
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config));
  return { file, targets: planTargets(await loadJigConfig(file), file) };
}

async function messageOf(config: unknown): Promise<string> {
  const file = join(tempFolder(), 'jig.json');
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config));
  try {
    planTargets(await loadJigConfig(file), file);
  } catch (error) {
    expect(error).toMatchObject({ blame: 'config' });
    return (error as Error).message.replace(file, 'jig.json');
  }
  return 'accepted';
}

const RESET = { name: 'reset', chip_index: 0, offset: 17 };
const LED = { name: 'led', chip_index: 0, offset: 4, direction: 'in' };

/** A config of one target with a sequence `go` of these steps. */
function withSteps(...seq: unknown[]): object {
  return {
    schema: 'sai-jig',
    targets: [{ name: 'dut', gpios: [RESET, LED], sequences: [{ name: 'go', seq }] }],
  };
}

function withPower(power: object): object {
  return { schema: 'sai-jig', targets: [{ name: 'dut', gpios: [], power, sequences: [] }] };
}

function withChip(chip: object, gpio: object): object {
  const gpios = [{ name: 'reset', chip: 'mine', line: 'k1', ...gpio }];
  return { schema: 'sai-jig', chips: { mine: chip }, targets: [{ name: 'dut', gpios, sequences: [] }] };
}

/** Two outputs, each with `more`, and an input. */
function withInterlock(names: string[], more: object = {}): object {
  const gpios = [{ ...RESET, ...more }, { name: 'boot', chip_index: 0, offset: 18, ...more }, LED];
  return { schema: 'sai-jig', targets: [{ name: 'dut', gpios, interlocks: [names], sequences: [] }] };
}

function withGpio(gpio: object): object {
  return { schema: 'sai-jig', targets: [{ name: 'dut', gpios: [gpio], sequences: [] }] };
}

async function stepsOf(...seq: unknown[]): Promise<string[]> {
  const { targets } = await plan(withSteps(...seq));
  return targets[0]?.sequences.get('go')?.steps.map(({ path, text }) => `${path}: ${text}`) ?? [];
}

describe('the jig config', () => {
  test('of Sai works as it is, with the key of its README and with that of its code', async () => {
    const { targets } = await plan(`{
      # wired to header pins
      "schema": "sai-jig", "port": 44000, "iface": "",
      "targets": [{
        "name": "linkit-7697-1",
        "gpios": [
          { "chip_index": 0, "name": "nReset", "offset": 17, "wire": "RST", "safe": 0, },
          { "chip_idx": 0, "name": "usr", "offset": 22, "wire": "P6", "safe": 1, },
        ],
        "sequences": [{
          "name": "flash",
          "seq": [
            { "gpio_name": "nReset", "value": 0 },
            { "gpio_name": "usr", "value": 1 },
            { "value": 300 },
            { "gpio_name": "nReset", "value": 1 },
          ]
        }],
      }],
    }`);
    expect(
      targets[0]?.lines.map(({ name, chip, at, output }) => ({ name, chip, at, safe: output?.safe })),
    ).toEqual([
      { name: 'nReset', chip: { kind: 'number', number: 0 }, at: 17, safe: 'inactive' },
      { name: 'usr', chip: { kind: 'number', number: 0 }, at: 22, safe: 'active' },
    ]);
    expect(targets[0]?.sequences.get('flash')?.steps.map(({ text }) => text)).toEqual([
      'nReset=0',
      'usr=1',
      'pause 300 ms',
      'nReset=1',
    ]);
  });

  test('that is shipped as an example shows every key', async () => {
    const path = packageFile('conf/jig.example.json');
    const targets = planTargets(await loadJigConfig(path), path);
    expect(targets.map(({ name }) => name)).toEqual(['esp32-1', 'pump-1', 'esp32-2', 'uno-1']);
    const text = readFileSync(path, 'utf8');
    const keys = [
      'schema port iface tokens targets name description requireFence gpios sequences chip_index chip_idx',
    ]
      .concat(
        'chip offset line wire safe activeLow drive bias direction seq gpio_name value pulse for wait_for edge',
      )
      .concat('within repeat call set maxActive interlocks tls cert key clientCa auditFile')
      .concat(
        'power kind url relay user password minOff minInterval http method headers body expect chips tty high low release',
      )
      .flatMap((words) => words.split(' '));
    expect(keys.filter((key) => !text.includes(`"${key}"`))).toEqual([]);
  });

  test('unrolls repeats and calls', async () => {
    const config = {
      schema: 'sai-jig',
      targets: [
        {
          name: 'dut',
          gpios: [RESET],
          sequences: [
            { name: 'go', seq: [{ repeat: 2, seq: [{ call: 'reset' }, { value: '1s' }] }] },
            { name: 'reset', seq: [{ pulse: 'reset', for: 50 }] },
          ],
        },
      ],
    };
    const { targets } = await plan(config);
    expect(targets[0]?.sequences.get('go')?.steps.map(({ path, text }) => `${path}: ${text}`)).toEqual([
      'seq.0.seq.0.reset.seq.0: reset=1 for 50 ms',
      'seq.0.seq.1: pause 1000 ms',
      'seq.0.seq.0.reset.seq.0: reset=1 for 50 ms',
      'seq.0.seq.1: pause 1000 ms',
    ]);
  });

  test('waits for a value or an edge of an input', async () => {
    expect(
      await stepsOf(
        { wait_for: 'led', value: 0, within: 100 },
        { wait_for: 'led', edge: 'both', within: '2s' },
      ),
    ).toEqual(['seq.0: wait for led=0 within 100 ms', 'seq.1: wait for led both within 2000 ms']);
  });

  test('finds the socket of a board from its own folder', async () => {
    const { file, targets } = await plan(withGpio({ name: 'reset', chip: './uno-1.chip', line: 'reset' }));
    expect(targets[0]?.lines[0]?.chip).toEqual({ kind: 'path', path: join(file, '../uno-1.chip') });
  });

  const GO = 'jig.json: targets.0.sequences.0.seq.0';
  test.each<[string, unknown, string]>([
    [
      'a pause that no timer can wait',
      withSteps({ value: '1000h' }),
      `${GO}: value: expected at most 596 h 31 min, got "1000h"`,
    ],
    [
      'a line past any chip',
      withGpio({ ...RESET, offset: 1e9 }),
      'jig.json: targets.0.gpios.0.offset: expected a line number up to 65534, got 1000000000',
    ],
    ['no JSON', '{', 'jig.json:1:2: expected JSON'],
    [
      'another schema',
      { schema: 'sai-device', targets: [] },
      'jig.json: schema: expected "sai-jig", got "sai-device"',
    ],
    [
      'a misspelt key',
      { schema: 'sai-jig', target: [] },
      'jig.json: unknown key "target" (did you mean "targets"?)',
    ],
    [
      'a key of a later version',
      withGpio({ ...RESET, frequency: '1kHz' }),
      'jig.json: targets.0.gpios.0: unknown key "frequency"',
    ],
    [
      'a maxActive of an input',
      withGpio({ ...LED, maxActive: '1s' }),
      'jig.json: targets.0.gpios.0.maxActive: expected none for an input, got "1s"',
    ],
    [
      'a maxActive of a line that is safe active',
      withGpio({ ...RESET, safe: 1, maxActive: '1s' }),
      'jig.json: targets.0.gpios.0.maxActive: expected none for a line whose safe value is 1, got "1s"',
    ],
    [
      'a maxActive of no time',
      withGpio({ ...RESET, maxActive: 0 }),
      'jig.json: targets.0.gpios.0.maxActive: expected more than 0 ms, got 0',
    ],
    [
      'a pulse that its line may not have',
      {
        schema: 'sai-jig',
        targets: [
          {
            name: 'dut',
            gpios: [{ ...RESET, maxActive: '1s' }],
            sequences: [{ name: 'go', seq: [{ pulse: 'reset', for: '1s' }] }],
          },
        ],
      },
      `${GO}.for: expected less than the maxActive of reset, 1000 ms, got 1000 ms`,
    ],
    [
      'an interlock with an input',
      withInterlock(['reset', 'led']),
      'jig.json: targets.0.interlocks.0.1: expected an output of this target, one of reset, boot, got "led"',
    ],
    [
      'an interlock of one line',
      withInterlock(['reset']),
      'jig.json: targets.0.interlocks.0: expected at least two lines, got ["reset"]',
    ],
    [
      'an interlock of a line with itself',
      withInterlock(['reset', 'reset']),
      'jig.json: targets.0.interlocks.0.1: expected each line once, got "reset"',
    ],
    [
      'an interlock of lines that are safe active',
      withInterlock(['reset', 'boot'], { safe: 1 }),
      'jig.json: targets.0.interlocks.0: expected at most one line whose safe value is 1, got reset and boot',
    ],
    [
      'a power step without power',
      withSteps({ power: 'on' }),
      `${GO}.power: expected a target with the key "power", this one has none`,
    ],
    [
      'a power step that is none',
      withSteps({ power: 'cycle' }),
      `${GO}: power: expected "on" or "off", got "cycle"`,
    ],
    [
      'power of no kind that there is',
      withPower({ kind: 'shelly', safe: 'off' }),
      'jig.json: targets.0.power.kind: expected ("tasmota" | "uhubctl" | "command"), got "shelly"',
    ],
    [
      'power without a word on what is safe',
      withPower({ kind: 'tasmota', url: 'http://plug' }),
      'jig.json: targets.0.power.safe: expected "on", "off" or "keep", got nothing',
    ],
    [
      'a plug that is no address',
      withPower({ kind: 'tasmota', url: '192.168.1.20', safe: 'off' }),
      'jig.json: targets.0.power.url: expected http://HOST or https://HOST, without a user, got "192.168.1.20"',
    ],
    [
      'a command without a program',
      withPower({ kind: 'command', on: [], off: ['x'], safe: 'off' }),
      'jig.json: targets.0.power.on: expected a program, then its arguments, got []',
    ],
    [
      'a hub without a place',
      withPower({ kind: 'uhubctl', location: 'usb1', port: 1, safe: 'off' }),
      'jig.json: targets.0.power.location: expected a location such as 1-1.4, got "usb1"',
    ],
    [
      'a server with a password in its address',
      withSteps({ http: 'http://me:secret@rig/' }),
      `${GO}: http: expected http://HOST or https://HOST, without a user, got "http://…@rig/"`,
    ],
    [
      'a chip of no kind that there is',
      withChip({ kind: 'i2c' }, {}),
      'jig.json: chips.mine.kind: expected ("modem" | "command"), got "i2c"',
    ],
    [
      'a tty that is no path',
      withChip({ kind: 'modem', tty: 'ttyUSB0' }, {}),
      'jig.json: chips.mine.tty: expected a tty\'s path, beginning with /, got "ttyUSB0"',
    ],
    [
      'a line of commands without one',
      withChip({ kind: 'command', lines: { k1: { high: ['x'] } } }, {}),
      'jig.json: chips.mine.lines.k1.low: expected an array, got nothing',
    ],
    ['a set of no line', withSteps({ set: {} }), `${GO}: set: expected at least one line, got {}`],
    [
      'a set of an input',
      withSteps({ set: { reset: 1, led: 1 } }),
      `${GO}.set.led: expected an output, got "led", which is an input`,
    ],
    [
      'a short token',
      { schema: 'sai-jig', tokens: ['x'], targets: [] },
      'jig.json: tokens.0: expected 16 or more visible characters, got 1 character that is not shown',
    ],
    [
      'a port that there is not',
      { schema: 'sai-jig', port: 70_000, targets: [] },
      'jig.json: port: expected a port up to 65535, got 70000',
    ],
    [
      'a target twice',
      { schema: 'sai-jig', targets: [target('a'), target('a')] },
      'jig.json: targets.1.name: expected a name of its own, got "a" again',
    ],
    [
      'a target that the API hides',
      { schema: 'sai-jig', targets: [target('targets')] },
      'jig.json: targets.0.name: expected a name other than targets, events, healthz, metrics, got "targets"',
    ],
    [
      'a name that is a path',
      { schema: 'sai-jig', targets: [target('..')] },
      'jig.json: targets.0.name: expected a name, not a path, got ".."',
    ],
    [
      'no chip',
      withGpio({ name: 'reset', offset: 1 }),
      'jig.json: targets.0.gpios.0: expected one of chip, chip_index and chip_idx, got neither',
    ],
    [
      'two chips',
      withGpio({ ...RESET, chip_idx: 1 }),
      'jig.json: targets.0.gpios.0: expected one of chip, chip_index and chip_idx, got chip_index and chip_idx',
    ],
    [
      'no line',
      withGpio({ name: 'reset', chip_index: 0 }),
      'jig.json: targets.0.gpios.0: expected offset (a number) or line (a name), got neither',
    ],
    [
      'two lines',
      withGpio({ ...RESET, line: 'x' }),
      'jig.json: targets.0.gpios.0: expected offset (a number) or line (a name), got both',
    ],
    [
      'a safe that is none',
      withGpio({ ...RESET, safe: 'high' }),
      'jig.json: targets.0.gpios.0.safe: expected 0, 1 or "release", got "high"',
    ],
    [
      'a safe input',
      withGpio({ ...LED, safe: 0 }),
      'jig.json: targets.0.gpios.0.safe: expected none for an input, got 0',
    ],
    [
      'a debounced output',
      withGpio({ ...RESET, debounce: '5ms' }),
      'jig.json: targets.0.gpios.0.debounce: expected none for an output, got "5ms"',
    ],
    [
      'an endless debounce',
      withGpio({ ...LED, debounce: '2m' }),
      'jig.json: targets.0.gpios.0.debounce: expected at most 60000 ms, got "2m"',
    ],
    [
      'a line twice',
      {
        schema: 'sai-jig',
        targets: [
          { ...target('a'), gpios: [RESET] },
          { ...target('b'), gpios: [RESET] },
        ],
      },
      'jig.json: expected each line of a chip once, got chip 0, line 17 as a/reset and b/reset',
    ],
    [
      'an unknown line',
      withSteps({ gpio_name: 'rest', value: 1 }),
      `${GO}.gpio_name: expected a line of this target, one of reset, led, got "rest" (did you mean "reset"?)`,
    ],
    [
      'a key that made a pause of a step',
      withSteps({ gpioname: 'reset', value: 1 }),
      `${GO}: unknown key "gpioname" (did you mean "gpio_name"?)`,
    ],
    [
      'a level that is none',
      withSteps({ gpio_name: 'reset', value: 2 }),
      `${GO}: value: expected 0 or 1, got 2`,
    ],
    ['a negative pause', withSteps({ value: -1 }), `${GO}: value: expected a whole number from 0, got -1`],
    [
      'a pause without a unit',
      withSteps({ value: '50' }),
      `${GO}: value: expected a duration such as 50ms or 2s, got "50"`,
    ],
    [
      'nothing to do',
      withSteps({}),
      `${GO}: expected one of gpio_name, set, pulse, wait_for, repeat, power, http, call, or value alone, got none of them`,
    ],
    [
      'two things to do',
      withSteps({ pulse: 'reset', call: 'go', for: 1 }),
      `${GO}: expected one of gpio_name, set, pulse, wait_for, repeat, power, http, call, or value alone, got pulse and call`,
    ],
    [
      'driving an input',
      withSteps({ gpio_name: 'led', value: 1 }),
      `${GO}.gpio_name: expected an output, got "led", which is an input`,
    ],
    [
      'a line that no record can have',
      withSteps({ set: JSON.parse('{"reset": 1, "__proto__": 1}') }),
      `${GO}.set.__proto__: expected a line of this target, one of reset, led, got "__proto__"`,
    ],
    [
      'a line whose name no record can have',
      {
        schema: 'sai-jig',
        targets: [{ name: 'dut', gpios: [{ ...RESET, name: 'prototype' }], sequences: [] }],
      },
      'jig.json: targets.0.gpios.0.name: expected another name: JavaScript has this for itself, got "prototype"',
    ],
    [
      'waiting for an output',
      withSteps({ wait_for: 'reset', value: 1, within: 1 }),
      `${GO}.wait_for: expected a line with "direction": "in", got "reset"`,
    ],
    [
      'waiting for ever',
      withSteps({ wait_for: 'led', value: 1 }),
      `${GO}: within: expected a duration such as 50ms or 2s, got nothing`,
    ],
    [
      'waiting for nothing',
      withSteps({ wait_for: 'led', within: 1 }),
      `${GO}: expected value or edge, got neither`,
    ],
    [
      'an unknown sequence',
      withSteps({ call: 'og' }),
      `${GO}.call: expected a sequence of this target, one of go, got "og"`,
    ],
    [
      'a circle',
      withSteps({ call: 'go' }),
      `${GO}.call: expected a sequence that ends, got a circle: go → go`,
    ],
    ['a repeat of none', withSteps({ repeat: 0, seq: [] }), `${GO}: repeat: expected at least 1, got 0`],
    [
      'a wrong step in a repeat',
      withSteps({ repeat: 2, seq: [{ value: 1 }, { call: 'x' }] }),
      `${GO}.seq.1.call: expected a sequence of this target, one of go, got "x"`,
    ],
    [
      'a repeat without end',
      withSteps({ repeat: 1_000_000_000, seq: [{ value: 1 }] }),
      `${GO}.seq.0: expected at most 10000 steps once repeats and calls are unrolled, got more`,
    ],
  ])('is refused with %s', async (_what, config, message) => {
    expect(await messageOf(config)).toContain(message);
  });

  test.each([
    ['a command', { kind: 'command', on: ['x'], off: ['x'] }, 2000],
    [
      'a command and the one that tells its state',
      { kind: 'command', on: ['x'], off: ['x'], state: ['x'] },
      4000,
    ],
    ['a plug', { kind: 'tasmota', url: 'http://plug' }, 2000],
  ])('whose power is %s has the time of each', async (_what, outlet, longestMs) => {
    const power = { ...outlet, safe: 'off', within: '2s', minOff: '3s' };
    const sequences = [{ name: 'go', seq: [{ power: 'off' }, { power: 'on' }] }];
    const { targets } = await plan({
      schema: 'sai-jig',
      targets: [{ name: 'dut', gpios: [], power, sequences }],
    });
    expect(targets[0]?.sequences.get('go')?.steps).toMatchObject([
      { longestMs },
      { longestMs: longestMs + 3000 },
    ]);
  });

  test('may repeat nothing as often as it likes', async () => {
    expect(await stepsOf({ repeat: 1_000_000_000, seq: [{ repeat: 1_000_000_000, seq: [] }] })).toEqual([]);
  });

  /** Each calls the next twice; the last is `seq`. */
  function doubling(levels: number, ...seq: object[]): object {
    const sequences = Array.from({ length: levels }, (_, index) => ({
      name: `s${index}`,
      seq: index === levels - 1 ? seq : [{ call: `s${index + 1}` }, { call: `s${index + 1}` }],
    }));
    return { schema: 'sai-jig', targets: [{ name: 'dut', gpios: [], sequences }] };
  }

  test('may call nothing exponentially often, and is refused where that comes to something', async () => {
    expect(await messageOf(doubling(90))).toBe('accepted');
    expect(await messageOf(doubling(90, { value: 1 }))).toContain('expected at most 10000 steps');
  });

  test.each([
    ['repeats', (inner: object[]) => [{ repeat: 1, seq: inner }]],
    ['lists that repeat nothing', (inner: object[]) => [{ repeat: 2, seq: inner }]],
  ])('is refused with %s that are too deep for any stack', async (_what, around) => {
    let seq: object[] = [];
    for (let level = 0; level < 1000; level++) seq = around(seq);
    expect(await messageOf(withSteps(...seq))).toBe(
      'jig.json: targets.0.sequences: go: expected repeats and calls at most 100 deep, got more',
    );
  });

  test('is refused together with others whose steps no small host could keep', async () => {
    const sequences = Array.from({ length: 11 }, (_, index) => ({
      name: `s${index}`,
      seq: [{ repeat: 9999, seq: [{ value: 1 }] }],
    }));
    const config = { schema: 'sai-jig', targets: [{ name: 'dut', gpios: [], sequences }] };
    expect(await messageOf(config)).toBe(
      'jig.json: expected at most 100000 steps in all sequences once repeats and calls are unrolled, got more',
    );
    sequences.pop();
    expect(await messageOf(config)).toBe('accepted');
  });
});

function target(name: string): object {
  return { name, gpios: [], sequences: [] };
}
