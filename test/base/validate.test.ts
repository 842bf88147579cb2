import * as v from 'valibot';
import { expect, test } from 'vitest';
import { didYouMean, parse, parseAll } from '../../src/base/validate.ts';
import { DevicePool } from '../../src/wire/device.ts';

const device = { name: 'uno-1', type: 'uno', ttys: ['/dev/ttyACM0'] };

test('a valid value comes back typed', () => {
  expect(parse(DevicePool, { devices: [device] }, 'conf').devices[0]?.name).toBe('uno-1');
});

test.each([
  [{ devices: [{ ...device, tty: '/dev/x' }] }, 'conf: devices.0: unknown key "tty" (did you mean "ttys"?)'],
  [{ device: [device] }, 'conf: unknown key "device" (did you mean "devices"?)'],
  [{ devices: [{ type: 'uno' }] }, 'conf: devices.0.name: expected a string, got nothing'],
  [{ devices: [{ ...device, name: 7 }] }, 'conf: devices.0.name: expected string, got 7'],
  [
    { devices: [{ ...device, name: 'a b' }] },
    'conf: devices.0.name: expected a word without blanks, commas or =, got "a b"',
  ],
  [
    { devices: [{ ...device, ttys: [{ tty: 'ttyACM0' }] }] },
    'conf: devices.0.ttys.0.tty: expected an absolute path, got "ttyACM0"',
  ],
  [
    { devices: [{ ...device, ttys: [{ tty: '/dev/x', baud: 9600 }] }] },
    'conf: devices.0.ttys.0: unknown key "baud"',
  ],
  [{ devices: [{ ...device, ttys: [5] }] }, 'conf: devices.0.ttys.0: expected (string | object), got 5'],
  [[], 'conf: expected an object with "devices", got an array'],
  [[device], 'conf: expected an object with "devices", got an array'],
  [{ devices: [[]] }, 'conf: devices.0: expected an object with "name" and "type", got an array'],
  ['x', 'conf: expected an object, got "x"'],
])('%j is refused by naming path, expected and found', (value, message) => {
  expect(() => parse(DevicePool, value, 'conf')).toThrow(
    expect.objectContaining({ blame: 'config', message }),
  );
});

test.each([
  [{ tokens: ['hush'] }, 'tokens.0: expected number, got 4 characters that are not shown'],
  [{ tokens: 'hush' }, 'tokens: expected array, got 4 characters that are not shown'],
  [{ tokens: { a: 'hush' } }, 'tokens: expected array, got object that is not shown'],
  [{ port: { password: 'hush', kind: 1 } }, 'port: expected number, got {"password":"…","kind":1}'],
  [{ port: 'http://me:hush@hush@plug/x?key=hush' }, 'port: expected number, got "http://…@plug/x?…"'],
  [{ port: 'is it x@y?' }, 'port: expected number, got "is it x@y?"'],
])('%j is refused without saying what is secret in it', (value, message) => {
  const schema = v.object({
    tokens: v.exactOptional(v.array(v.number())),
    port: v.exactOptional(v.number()),
  });
  expect(() => parse(schema, value, 'conf')).toThrow(`conf: ${message}`);
});

test('what is missing is asked for by what its schema says', () => {
  const Step = v.strictObject({
    safe: v.picklist(['on', 'off'], 'expected "on" or "off"'),
    list: v.array(v.string()),
    inner: v.strictObject({ flag: v.boolean() }),
    either: v.union([v.string(), v.number()]),
  });
  const Kinds = v.variant('kind', [
    v.strictObject({ kind: v.literal('a'), on: v.number('expected a number of lamps') }),
    v.strictObject({ kind: v.literal('b'), on: v.string() }),
  ]);
  const told = (schema: v.GenericSchema, value: unknown): readonly string[] => {
    const parsed = parseAll(schema, value, 'conf');
    return 'problems' in parsed ? parsed.problems : [];
  };
  expect(told(Step, {})).toEqual([
    'conf: safe: expected "on" or "off", got nothing',
    'conf: list: expected an array, got nothing',
    'conf: inner: expected an object, got nothing',
    'conf: either: expected (string | number), got nothing',
  ]);
  expect(told(Step, { safe: 'on', list: [], inner: {}, either: 1 })).toEqual([
    'conf: inner.flag: expected true or false, got nothing',
  ]);
  expect(told(Kinds, { kind: 'b' })).toEqual([
    'conf: on: expected a number of lamps or a string, got nothing',
  ]);
  expect(told(Step, undefined)).toEqual(['conf: expected an object, got nothing']);
});

test('only near misses are suggested', () => {
  expect(didYouMean('nmae', ['name', 'type'])).toBe(' (did you mean "name"?)');
  expect(didYouMean('colour', ['name', 'type'])).toBe('');
});
