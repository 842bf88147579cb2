import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, test } from 'vitest';
import { readConfigFile } from '../../src/base/config-file.ts';
import { loadJigConfig } from '../../src/jig/config.ts';
import { planTargets } from '../../src/jig/plan.ts';
import { tempFolder } from '../temp-folder.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** By another validator than ours, as an editor would. */
function validatorOf(config: string): ValidateFunction {
  const ajv = new Ajv({ allowUnionTypes: true, formats: { uri: (text: string) => URL.canParse(text) } });
  return ajv.compile(
    JSON.parse(readFileSync(join(ROOT, `dist/schema/${config}.schema.json`), 'utf8')) as object,
  );
}

test.each(['devices', 'jig'])('the published schema of the %s config takes the example', async (config) => {
  const validate = validatorOf(config);
  const example = (await readConfigFile(join(ROOT, `conf/${config}.example.json`))) as { $schema: string };
  expect(validate(example), JSON.stringify(validate.errors)).toBe(true);
  expect(join(ROOT, 'conf', example.$schema)).toBe(join(ROOT, `dist/schema/${config}.schema.json`));
});

describe('the published schema of the devices config refuses', () => {
  const device = { name: 'uno1', type: 'uno', ttys: ['/dev/ttyACM0'] };
  test.each<[string, object, string]>([
    ['a misspelt key', { ...device, tty: [] }, '/devices/0'],
    ['a device without a name', { type: 'uno' }, '/devices/0'],
    ['a relative path', { ...device, ttys: ['ttyACM0'] }, '/devices/0/ttys/0'],
    ['a rate that is none', { ...device, ttys: [{ tty: '/dev/x', rate: 'fast' }] }, '/devices/0/ttys/0/rate'],
    ['a variable of ours', { ...device, env: { SAI_X: '1' } }, '/devices/0/env'],
    ['a USB number that is none', { ...device, usb: { vid: '10c4x' } }, '/devices/0/usb/vid'],
    ['a USB identity that says nothing', { ...device, usb: {} }, '/devices/0/usb'],
    ['an unknown kind of probe', { ...device, probe: { serial: '1', kind: 'x' } }, '/devices/0/probe/kind'],
    ['a jig without a URL', { ...device, jig: { url: 'pi', target: 'x' } }, '/devices/0/jig/url'],
  ])('%s', (_name, broken, path) => {
    const validate = validatorOf('devices');
    expect(validate({ devices: [device] })).toBe(true);
    expect(validate({ devices: [broken] })).toBe(false);
    expect(validate.errors?.map(({ instancePath }) => instancePath)).toContain(path);
  });
});

const GPIO = { name: 'reset', chip_index: 0, offset: 17 };
const INPUT = { name: 'led', chip: 'header', line: 'GPIO4', direction: 'in' };

interface JigParts {
  gpio?: object;
  input?: object;
  step?: unknown;
  target?: object;
  power?: object;
  chip?: object;
  top?: object;
}

/** What every loader and every editor takes, but for these parts. */
function jigWith({ gpio, input, step, target, power, chip, top }: JigParts): object {
  return {
    schema: 'sai-jig',
    ...(chip ? { chips: { mine: chip } } : {}),
    targets: [
      {
        name: 'dut',
        gpios: [gpio ?? GPIO, { name: 'boot', chip: '/dev/gpiochip0', offset: 1 }, input ?? INPUT],
        ...(power ? { power } : {}),
        sequences: [
          { name: 'go', seq: step === undefined ? [] : [step] },
          { name: 'other', seq: [] },
        ],
        ...target,
      },
    ],
    ...top,
  };
}

const PLUG = { kind: 'tasmota', url: 'http://plug', safe: 'off' };
const HUB = { kind: 'uhubctl', location: '1-1.4', port: 2, safe: 'keep' };
const RELAY = { kind: 'command', on: ['relay', '1'], off: ['relay', '0'], safe: 'on' };
const K1 = { high: ['x'], low: ['y'] };
const TIMES = { minOff: '2s', minInterval: 10, within: '1.5s' };
const COMPLETE: [string, JigParts][] = [
  ['nothing more than it must have', {}],
  [
    'a line with every key',
    {
      gpio: {
        ...GPIO,
        wire: 'EN',
        safe: 'release',
        activeLow: true,
        drive: 'open-drain',
        bias: 'pull-up',
        direction: 'out',
        maxActive: '2s',
      },
    },
  ],
  ['a line of the original', { gpio: { name: 'reset', chip_idx: 0, offset: 17, wire: 'RST', safe: 1 } }],
  [
    'an input with every key',
    { input: { ...INPUT, wire: 'IO2', activeLow: true, bias: 'disabled', debounce: '5ms' } },
  ],
  ['a plug with every key', { power: { ...PLUG, ...TIMES, relay: 2, user: 'me', password: '' } }],
  ['a hub with every key', { power: { ...HUB, ...TIMES } }],
  ['commands with every key', { power: { ...RELAY, ...TIMES, state: ['relay', ''] } }],
  ['a modem chip', { chip: { kind: 'modem', tty: '/dev/ttyUSB0' } }],
  ['a command chip', { chip: { kind: 'command', within: 100, lines: { k1: { ...K1, release: ['z'] } } } }],
  [
    'a target with every key',
    { power: PLUG, target: { description: 'x', requireFence: true, interlocks: [['reset', 'boot']] } },
  ],
  [
    'every key of its own',
    {
      top: {
        $schema: 'x',
        port: 0,
        iface: '',
        tokens: ['2f6b1c9e-change-me'],
        tls: { cert: 'a', key: 'b', clientCa: 'c' },
        auditFile: 'audit',
      },
    },
  ],
  ['a pause', { step: { value: 0 } }],
  ['a set of several lines', { step: { set: { reset: 1, boot: 0 } } }],
  ['a pulse', { step: { pulse: 'reset', for: '1.5s', value: 0 } }],
  ['a wait for a value', { step: { wait_for: 'led', value: 0, within: 9 } }],
  ['a wait for an edge', { step: { wait_for: 'led', edge: 'both', within: '2s' } }],
  [
    'a repeat of repeats',
    {
      step: {
        repeat: 2,
        seq: [
          { repeat: 3, seq: [{ call: 'other' }] },
          { gpio_name: 'boot', value: 1 },
        ],
      },
    },
  ],
  ['a power step', { power: PLUG, step: { power: 'off' } }],
  [
    'an http step with every key',
    {
      step: {
        http: 'HTTPS://rig:1/x?y=me@home',
        method: 'PUT',
        headers: { 'x-lab': '1' },
        body: '',
        expect: 204,
        within: '2s',
      },
    },
  ],
];

const BAD: [string, JigParts, string][] = [
  ['a misspelt key', { top: { prot: 1 } }, ''],
  ['a port that there is not', { top: { port: 70_000 } }, '/port'],
  ['a short token', { top: { tokens: ['x'] } }, '/tokens/0'],
  ['no token', { top: { tokens: [] } }, '/tokens'],
  ['a certificate without a key', { top: { tls: { cert: 'x' } } }, '/tls'],
  ['an audit file without a name', { top: { auditFile: '' } }, '/auditFile'],
  ['a chip of no kind', { chip: { kind: 'i2c' } }, '/chips/mine'],
  ['a tty that is no path', { chip: { kind: 'modem', tty: 'ttyUSB0' } }, '/chips/mine/tty'],
  [
    'a command line without one',
    { chip: { kind: 'command', lines: { k1: { high: ['x'] } } } },
    '/chips/mine/lines/k1',
  ],
  [
    'a command of nothing',
    { chip: { kind: 'command', lines: { k1: { ...K1, low: [] } } } },
    '/chips/mine/lines/k1/low',
  ],
  ['a target that the API hides', { target: { name: 'events' } }, '/targets/0/name'],
  ['a name that is a path', { target: { name: '..' } }, '/targets/0/name'],
  ['a target without lines', { target: { gpios: {} } }, '/targets/0/gpios'],
  ['no chip', { gpio: { name: 'reset', offset: 1 } }, '/targets/0/gpios/0'],
  ['two chips', { gpio: { ...GPIO, chip: 'x' } }, '/targets/0/gpios/0'],
  ['no line', { gpio: { name: 'reset', chip_index: 1 } }, '/targets/0/gpios/0'],
  ['two lines', { gpio: { ...GPIO, line: 'x' } }, '/targets/0/gpios/0'],
  ['a line number that none has', { gpio: { ...GPIO, offset: 70_000 } }, '/targets/0/gpios/0/offset'],
  ['a safe that is none', { gpio: { ...GPIO, safe: 'high' } }, '/targets/0/gpios/0/safe'],
  ['a debounced output', { gpio: { ...GPIO, debounce: 5 } }, '/targets/0/gpios/0'],
  [
    'an output that is safe active, and not for long',
    { gpio: { ...GPIO, safe: 1, maxActive: 5 } },
    '/targets/0/gpios/0',
  ],
  ['a safe input', { input: { ...INPUT, safe: 0 } }, '/targets/0/gpios/2'],
  ['a driven input', { input: { ...INPUT, drive: 'push-pull' } }, '/targets/0/gpios/2'],
  ['an input with maxActive', { input: { ...INPUT, maxActive: 5 } }, '/targets/0/gpios/2'],
  ['an interlock of one line', { target: { interlocks: [['reset']] } }, '/targets/0/interlocks/0'],
  [
    'an interlock of a line with itself',
    { target: { interlocks: [['reset', 'reset']] } },
    '/targets/0/interlocks/0',
  ],
  ['power of no kind', { power: { ...PLUG, kind: 'shelly' } }, '/targets/0/power'],
  ['power without a word on what is safe', { power: { ...PLUG, safe: undefined } }, '/targets/0/power'],
  ['a plug that is no address', { power: { ...PLUG, url: '192.0.2.1' } }, '/targets/0/power/url'],
  [
    'a plug with a password in its address',
    { power: { ...PLUG, url: 'http://a:b@plug' } },
    '/targets/0/power/url',
  ],
  ['a hub without a place', { power: { ...HUB, location: 'usb1' } }, '/targets/0/power/location'],
  ['a command without a program', { power: { ...RELAY, on: [] } }, '/targets/0/power/on'],
  ['a key of another kind of power', { power: { ...HUB, relay: 1 } }, '/targets/0/power'],
  ['a step that is nothing', { step: {} }, '/targets/0/sequences/0/seq/0'],
  [
    'a step of two kinds',
    { step: { pulse: 'reset', for: 1, call: 'other' } },
    '/targets/0/sequences/0/seq/0',
  ],
  ['a misspelt step', { step: { gpioname: 'reset', value: 1 } }, '/targets/0/sequences/0/seq/0'],
  ['a step that is no object', { step: 'reset' }, '/targets/0/sequences/0/seq/0'],
  ['a level that is none', { step: { gpio_name: 'reset', value: 2 } }, '/targets/0/sequences/0/seq/0/value'],
  ['a negative pause', { step: { value: -1 } }, '/targets/0/sequences/0/seq/0/value'],
  ['a pause without a unit', { step: { value: '50' } }, '/targets/0/sequences/0/seq/0/value'],
  ['a set of no line', { step: { set: {} } }, '/targets/0/sequences/0/seq/0/set'],
  ['a pulse without an end', { step: { pulse: 'reset' } }, '/targets/0/sequences/0/seq/0'],
  ['a wait for ever', { step: { wait_for: 'led', value: 1 } }, '/targets/0/sequences/0/seq/0'],
  ['a wait for nothing', { step: { wait_for: 'led', within: 1 } }, '/targets/0/sequences/0/seq/0'],
  [
    'a wait for two things',
    { step: { wait_for: 'led', within: 1, value: 1, edge: 'both' } },
    '/targets/0/sequences/0/seq/0',
  ],
  ['a repeat of none', { step: { repeat: 0, seq: [] } }, '/targets/0/sequences/0/seq/0/repeat'],
  [
    'a wrong step in a repeat',
    { step: { repeat: 2, seq: [{ call: 5 }] } },
    '/targets/0/sequences/0/seq/0/seq/0/call',
  ],
  [
    'a power step that is none',
    { power: PLUG, step: { power: 'cycle' } },
    '/targets/0/sequences/0/seq/0/power',
  ],
  ['a server that is no address', { step: { http: 'rig/relays' } }, '/targets/0/sequences/0/seq/0/http'],
  [
    'a status that is none',
    { step: { http: 'http://rig', expect: 42 } },
    '/targets/0/sequences/0/seq/0/expect',
  ],
  [
    'a header that is none',
    { step: { http: 'http://rig', headers: { 'a b': '' } } },
    '/targets/0/sequences/0/seq/0/headers',
  ],
];

describe('the published schema of the jig config', () => {
  const validate = validatorOf('jig');

  /** `accepted`, or why not. */
  async function loaded(config: object): Promise<string> {
    const file = join(tempFolder(), 'jig.json');
    writeFileSync(file, JSON.stringify(config));
    return await loadJigConfig(file)
      .then((read) => void planTargets(read, file))
      .then(
        () => 'accepted',
        (error: unknown) => String(error),
      );
  }

  const wiring = readdirSync(join(ROOT, 'hardware/wiring')).filter((name) => name.endsWith('.jig.json'));

  test.each(wiring)('takes hardware/wiring/%s, which names it', async (name) => {
    const folder = join(ROOT, 'hardware/wiring');
    const config = (await readConfigFile(join(folder, name))) as { $schema: string };
    expect(validate(config), JSON.stringify(validate.errors)).toBe(true);
    expect(join(folder, config.$schema)).toBe(join(ROOT, 'dist/schema/jig.schema.json'));
  });

  test('takes every step that the document shows', () => {
    const text = readFileSync(join(ROOT, 'docs/jig.md'), 'utf8');
    const steps = [...text.matchAll(/^\| +(`\{.*?\}`(?:, `\{.*?\}`)*) +\|/gm)]
      .flatMap(([, cell = '']) => [...cell.matchAll(/`(\{.*?\})`/g)])
      .map(([, step = '']) => JSON.parse(step.replace('[...]', '[]')) as unknown);
    expect(steps.length).toBeGreaterThanOrEqual(11);
    for (const step of steps) expect(validate(jigWith({ step })), JSON.stringify(step)).toBe(true);
  });

  test.each(COMPLETE)('takes %s, as the loader does', async (_what, parts) => {
    const config = jigWith(parts);
    expect(await loaded(config)).toBe('accepted');
    expect(validate(config), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each(BAD)('refuses %s, as the loader does', async (_what, parts, path) => {
    const config = JSON.parse(JSON.stringify(jigWith(parts))) as object;
    expect(await loaded(config)).toMatch(/^RigError: /);
    expect(validate(config)).toBe(false);
    expect(validate.errors?.map(({ instancePath }) => instancePath)).toContain(path);
  });
});
