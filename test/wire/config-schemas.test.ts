import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, test } from 'vitest';
import { readConfigFile } from '../../src/base/config-file.ts';

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
