import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadPool, matchDevices, type PooledDevice } from '../../src/device/pool.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pool-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function load(text: string): Promise<PooledDevice[]> {
  const path = join(folder, 'conf');
  writeFileSync(path, text);
  return await loadPool(path);
}

const poolOf = (...devices: object[]): Promise<PooledDevice[]> => load(JSON.stringify({ devices }));

const names = (devices: readonly { name: string }[]): string[] => devices.map((device) => device.name);

test('the example in conf/ is valid, and shows every key', async () => {
  const path = fileURLToPath(new URL('../../conf/devices.example.json', import.meta.url));
  const [uno, heltec, nrf] = await loadPool(path);
  expect(uno?.answersTo).toEqual(['uno1', 'uno', 'arduino', 'atmega328p']);
  expect(heltec).toMatchObject({
    answersTo: ['heltec1', 'esp32', 'esp32-heltec', 'esp32-lora'],
    ttys: [
      { name: 'console', baudRate: 115_200, locked: true, hangUpOnClose: false },
      { path: '/dev/ttyUSB7', name: 'gps', locked: false },
    ],
    env: { ESPBAUD: '921600' },
    jig: 'http://pi:44000/heltec',
    waitMs: 1_800_000,
    maxLeaseMs: 3_600_000,
    reappearMs: 10_000,
    lend: 'asked',
  });
  expect(uno?.usb).toEqual({ serial: '75834353930351F0B1C0', vid: '2341', pid: '0043', path: '1-1.2' });
  expect(nrf).toMatchObject({
    ttys: [],
    locks: ['/dev/sai/probe-000683456789'],
    probe: { serial: '000683456789', kind: 'jlink' },
  });
});

test('a tty may be away for ten seconds, and is lent to who asks, unless the config says otherwise', async () => {
  const devices = await poolOf(
    { name: 'uno1', type: 'uno', ttys: ['/dev/ttyUSB0'] },
    { name: 'uno2', type: 'uno', ttys: ['/dev/ttyUSB1'], reappear: '0s', lend: 'always' },
  );
  expect(devices).toMatchObject([
    { reappearMs: 10_000, lend: 'asked' },
    { reappearMs: 0, lend: 'always' },
  ]);
});

test('a file as Sai writes it is read: tty objects, comma lists, comments, tabs, trailing commas', async () => {
  const text = [
    '# my devices',
    '{',
    '\t"home": "/home/sai",',
    '\t"devices": [',
    '\t\t{',
    '\t\t\t"name": "heltec1", "type": "esp32",',
    '\t\t\t"compatible": "esp32-heltec, esp32-heltec-v2",',
    '\t\t\t"description": "Heltec LoRa", # on the shelf',
    '\t\t\t"ttys": [ { "tty": "/dev/ttyUSB0", "name": "con", "rate": 115200, "initial_monitor": true, "lock": true, }, ],',
    '\t\t},',
    '\t],',
    '}',
  ];
  const [device] = await load(text.join('\n'));
  expect(device).toMatchObject({
    name: 'heltec1',
    answersTo: ['heltec1', 'esp32', 'esp32-heltec', 'esp32-heltec-v2'],
    ttys: [{ path: '/dev/ttyUSB0', name: 'con', locked: true }],
  });
});

test('USB numbers may be written as lsusb or as a header file has them', async () => {
  const [device] = await poolOf({ ...UNO, usb: { vid: '0x10C4', pid: 'EA60' } });
  expect(device?.usb).toEqual({ vid: '10c4', pid: 'ea60' });
});

const UNO = { name: 'uno1', type: 'uno', ttys: ['/dev/ttyACM0'] };

describe('a broken config is refused with the place and the cure:', () => {
  test.each<[string, object, string]>([
    [
      'a misspelt key',
      { ...UNO, tty: ['/dev/ttyACM0'] },
      'devices.0: unknown key "tty" (did you mean "ttys"?)',
    ],
    ['no name', { type: 'uno', ttys: ['/dev/ttyACM0'] }, 'devices.0.name: expected'],
    [
      'nothing to lock',
      { ...UNO, ttys: [] },
      'devices.0: expected at least one tty or one entry in locks, got nothing',
    ],
    [
      'only ttys that are left to others',
      { ...UNO, ttys: [{ tty: '/dev/ttyACM0', lock: false }] },
      'devices.0: expected at least one tty or one entry in locks, got nothing',
    ],
    ['a relative path', { ...UNO, ttys: ['ttyACM0'] }, 'expected an absolute path, got "ttyACM0"'],
    [
      'half a baud',
      { ...UNO, ttys: [{ tty: '/dev/ttyACM0', rate: 12.5 }] },
      'expected a whole number of baud, got 12.5',
    ],
    [
      'a rate that is none',
      { ...UNO, ttys: [{ tty: '/dev/ttyACM0', rate: 0 }] },
      'expected a positive baud rate, got 0',
    ],
    [
      'a variable of ours',
      { ...UNO, env: { SAI_DEVICE_NAME: 'x' } },
      'expected the name of an environment variable other than SAI_*, LD_* and PATH',
    ],
    [
      'PATH',
      { ...UNO, env: { PATH: '/tmp' } },
      'expected the name of an environment variable other than SAI_*, LD_* and PATH',
    ],
    [
      'LD_PRELOAD',
      { ...UNO, env: { LD_PRELOAD: 'x.so' } },
      'expected the name of an environment variable other than SAI_*, LD_* and PATH',
    ],
    [
      'a variable without a name',
      { ...UNO, env: { 'A B': 'x' } },
      'expected the name of an environment variable',
    ],
    [
      'a duration without a unit',
      { ...UNO, wait: '30' },
      'expected a duration such as 300ms, 2s, 5m or 8h, got "30"',
    ],
    [
      'a duration that no timer can hold',
      { ...UNO, maxLease: '1000h' },
      'devices.0.maxLease: expected at most 596 h 31 min, got "1000h"',
    ],
    ['a path with a NUL', { ...UNO, ttys: ['/dev/a\0b'] }, 'expected a path without NUL'],
    [
      'a rate that no tty has',
      { ...UNO, ttys: [{ tty: '/dev/x', rate: 2 ** 32 }] },
      'expected a baud rate below 2^32',
    ],
    [
      'a jig without a URL',
      { ...UNO, jig: { url: 'pi', target: 'x' } },
      'expected a URL such as http://pi:44000',
    ],
    [
      'a USB number that is none',
      { ...UNO, usb: { vid: '10c' } },
      'devices.0.usb.vid: expected four hexadecimal digits, such as "10c4", got "10c"',
    ],
    [
      'a USB number without quotes',
      { ...UNO, usb: { pid: 43 } },
      'devices.0.usb.pid: expected four hexadecimal digits in quotes, such as "10c4", got 43',
    ],
    [
      'a USB identity that says nothing',
      { ...UNO, usb: {} },
      'devices.0.usb: expected at least one of serial, vid, pid and path, got {}',
    ],
    [
      'a port that is none',
      { ...UNO, usb: { path: 'usb1' } },
      'devices.0.usb.path: expected the path of a USB port, such as "1-1.2", got "usb1"',
    ],
    [
      'a kind of probe that we do not know',
      { ...UNO, probe: { serial: 'x', kind: 'st-link' } },
      'devices.0.probe.kind: expected one of stlink, jlink, cmsis-dap, esp-usb-jtag, ftdi, got "st-link"',
    ],
    [
      'a probe without a number',
      { ...UNO, probe: { kind: 'stlink' } },
      'devices.0.probe.serial: expected a serial number in quotes, got nothing',
    ],
  ])('%s', async (_name, device, message) => {
    await expect(poolOf(device)).rejects.toThrow(
      expect.objectContaining({ blame: 'config', message: expect.stringContaining(message) }),
    );
  });

  test('a name twice', async () => {
    await expect(poolOf(UNO, UNO)).rejects.toThrow(
      'devices.1.name: expected a name of its own, got "uno1" again',
    );
  });

  test('a tty twice, unless both leave it to others', async () => {
    const shared = (lock: boolean): object => ({ ttys: ['/dev/ttyACM1', { tty: '/dev/ttyACM0', lock }] });
    for (const lock of [true, false]) {
      await expect(poolOf(UNO, { name: 'uno2', type: 'uno', ...shared(lock) })).rejects.toThrow(
        'devices.1.ttys.1: expected a tty of uno2 alone, got /dev/ttyACM0, which uno1 has too',
      );
    }
    const clock = { tty: '/dev/ttyAMA0', lock: false };
    const devices = [UNO, { ...UNO, name: 'uno2', ttys: ['/dev/ttyACM1'] }];
    await expect(
      poolOf(...devices.map((device) => ({ ...device, ttys: [...device.ttys, clock] }))),
    ).resolves.toHaveLength(2);
  });

  test('not JSON', async () => {
    await expect(load('{ "devices": [')).rejects.toThrow(expect.objectContaining({ blame: 'config' }));
    await expect(load('devices: []')).rejects.toThrow('expected JSON');
  });
});

describe('a request', () => {
  const tty = (index: number): object => ({ ttys: [`/dev/ttyUSB${index}`] });
  const pool = (): Promise<PooledDevice[]> =>
    poolOf(
      { name: 'a', type: 'esp32', tags: ['lora'], ...tty(0) },
      { name: 'b', type: 'esp32', compatible: 'esp32-s3,wifi', tags: ['lora', 'psram'], ...tty(1) },
      { name: 'c', type: 'uno', compatible: ['wifi'], ...tty(2) },
    );

  test.each([
    ['esp32', ['a', 'b']],
    ['wifi', ['b', 'c']],
    ['esp32-s3', ['b']],
    ['c', ['c']],
  ])('%s matches whole words of name, type and every compatible entry', async (type, expected) => {
    expect(names(matchDevices(await pool(), { type, tags: [] }).devices)).toEqual(expected);
  });

  test('that nobody matches as a whole falls back to the longest entry that begins it', async () => {
    expect(matchDevices(await pool(), { type: 'esp32-heltec', tags: [] })).toMatchObject({
      devices: [{ name: 'a' }, { name: 'b' }],
      prefix: 'esp32',
    });
    expect(matchDevices(await pool(), { type: 'esp32-s3-box', tags: [] })).toMatchObject({
      devices: [{ name: 'b' }],
      prefix: 'esp32-s3',
    });
  });

  test('matches no entry that ends inside one of its words', async () => {
    const devices = await pool();
    expect(() => matchDevices(devices, { type: 'esp32a', tags: [] })).toThrow(
      'unknown device type "esp32a" (did you mean "esp32"?); types: esp32, uno',
    );
  });

  test('is narrowed by tags and by name', async () => {
    const devices = await pool();
    expect(names(matchDevices(devices, { type: 'esp32', tags: ['lora', 'psram'] }).devices)).toEqual(['b']);
    expect(names(matchDevices(devices, { type: 'esp32', name: 'a', tags: [] }).devices)).toEqual(['a']);
    expect(() => matchDevices(devices, { type: 'esp32', tags: ['gps'] })).toThrow(
      'no device of type esp32 has tag gps; devices of that type: a (lora), b (lora, psram)',
    );
  });
});
