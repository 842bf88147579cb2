import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { examineConfig } from '../../src/device/check.ts';
import { loadPool, type PooledDevice } from '../../src/device/pool.ts';
import { scan } from '../../src/device/scan.ts';
import { CH340, CP2102, FakeHost, FT2232, STLINK, UNO } from '../peers/fake-host.ts';
import { tempFolder } from '../temp-folder.ts';

const BY_PATH = '/dev/serial/by-path/pci-0000:00:14.0-usb';
const UNO_ENTRY = {
  name: 'uno-1',
  type: 'uno',
  description:
    `Arduino (www.arduino.cc) (2341:0043, serial ${UNO.serial}, port 1-1.1), ` +
    `/dev/serial/by-id/usb-Arduino_(www.arduino.cc)_0043_${UNO.serial}-if00`,
  ttys: [`${BY_PATH}-0:1.1:1.0`],
  usb: { serial: UNO.serial, vid: '2341', pid: '0043' },
};

async function poolOf(...devices: object[]): Promise<PooledDevice[]> {
  const path = join(tempFolder(), 'conf');
  writeFileSync(path, JSON.stringify({ devices }));
  return await loadPool(path);
}

test('a board that its USB number tells is proposed by its socket, with its identity', () => {
  const host = new FakeHost();
  host.plug(UNO, { name: 'ttyACM0' });
  expect(scan([], host.files)).toEqual([
    {
      what: `/dev/ttyACM0: Arduino Uno, Arduino (www.arduino.cc) (2341:0043, serial ${UNO.serial}, port 1-1.1)`,
      listedAs: [],
      entry: UNO_ENTRY,
      remarks: [],
    },
  ]);
});

test('what is proposed for a whole bench is a config without errors', async () => {
  const host = new FakeHost();
  host.plug(UNO, { name: 'ttyACM0' });
  host.plug({ ...UNO, port: '1-4', serial: '2' }, { name: 'ttyACM1' });
  host.plug(CP2102, { name: 'ttyUSB0' });
  host.plug(CH340, { name: 'ttyUSB1' });
  host.plug(FT2232, { name: 'ttyUSB2' }, { name: 'ttyUSB3', interface: 1 });
  host.plug(STLINK, { name: 'ttyACM2', interface: 2 });
  const devices = scan([], host.files).map(({ entry }) => entry);
  expect(devices.map((entry) => [entry?.name, entry?.ttys?.length])).toEqual([
    ['uno-1', 1],
    ['unknown-1', 1],
    ['unknown-2', 1],
    ['unknown-3', 2],
    ['uno-2', 1],
    ['unknown-4', 1],
  ]);
  expect(devices[5]?.probe).toEqual({ serial: STLINK.serial, kind: 'stlink' });
  expect(devices[3]?.ttys).toEqual([`${BY_PATH}-0:2:1.0-port0`, `${BY_PATH}-0:2:1.1-port0`]);
  const path = join(tempFolder(), 'conf');
  writeFileSync(path, JSON.stringify({ devices }));
  const { errors, advice } = await examineConfig(path, host.files);
  expect(errors).toEqual([]);
  expect(advice).toEqual([1, 2, 3, 5].map((index) => `${path}: devices.${index}.type: say what board it is`));
});

test('an adapter that any board may have, without a number of its own, comes with what to look after', () => {
  const host = new FakeHost();
  host.plug(CH340, { name: 'ttyUSB0' });
  expect(scan([], host.files)[0]).toMatchObject({
    entry: { type: 'unknown', usb: { vid: '1a86', pid: '7523' } },
    remarks: [
      'any board may have this adapter: write what board it is for type unknown',
      'it has no serial number: the entry is for whichever of its make is in that socket',
    ],
  });
});

test.each([`${BY_PATH}-0:1.1:1.0`, UNO_ENTRY.description.split(', ').at(-1) ?? '', '/dev/ttyACM0'])(
  'a board that the config lists as %s is said to be listed, and its name is not proposed again',
  async (path) => {
    const host = new FakeHost();
    host.plug(UNO, { name: 'ttyACM0' });
    host.plug({ ...UNO, port: '1-4', serial: '2' }, { name: 'ttyACM1' });
    const found = scan(await poolOf({ name: 'uno-1', type: 'uno', ttys: [path] }), host.files);
    expect(found.map(({ listedAs, entry }) => [listedAs, entry?.name])).toEqual([
      [['uno-1'], undefined],
      [[], 'uno-2'],
    ]);
  },
);

test('of an adapter with two ttys of which one is listed, the other is proposed', async () => {
  const host = new FakeHost();
  host.plug(FT2232, { name: 'ttyUSB0' }, { name: 'ttyUSB1', interface: 1 });
  const [found] = scan(await poolOf({ name: 'esp1', type: 'esp32', ttys: ['/dev/ttyUSB1'] }), host.files);
  expect(found).toMatchObject({ listedAs: ['esp1'], entry: { ttys: [`${BY_PATH}-0:2:1.0-port0`] } });
});

test('without udev, and without the node, the kernel’s name is all there is, and that is said', () => {
  const host = new FakeHost();
  host.plug(CP2102, { name: 'ttyUSB0' });
  host.remove('/dev/serial');
  expect(scan([], host.files)[0]).toMatchObject({
    entry: { ttys: ['/dev/ttyUSB0'] },
    remarks: [
      expect.anything(),
      '/dev/ttyUSB0 has no link in /dev/serial/by-path, and its name may change; is udev running?',
    ],
  });
  host.remove('/dev/ttyUSB0');
  expect(scan([], host.files)[0]?.remarks[1]).toBe(
    '/dev/ttyUSB0 is not in this /dev; bind-mount /dev of the host',
  );
});

test('a probe without a tty is named for the device that it debugs, until that has it', async () => {
  const host = new FakeHost();
  host.plug({ port: '1-3', vid: '1366', pid: '0101', serial: '000683456789' });
  expect(scan([], host.files)).toEqual([
    {
      what: 'jlink probe, 1366:0101, serial 000683456789, port 1-3',
      listedAs: [],
      entry: undefined,
      remarks: [
        'it has no tty: add "probe": {"serial":"000683456789","kind":"jlink"} to the device that it debugs',
      ],
    },
  ]);
  const probe = { serial: '683456789', kind: 'jlink' };
  const pool = await poolOf({ name: 'nrf1', type: 'nrf52', locks: ['/dev/x'], probe });
  expect(scan(pool, host.files)).toMatchObject([{ listedAs: ['nrf1'], remarks: [] }]);
});

test('a UART of the machine itself is proposed where udev links it', async () => {
  const host = new FakeHost();
  host.platformTty('ttyAMA0', '204:64');
  host.platformTty('ttyAMA1', '204:65');
  const link = '/dev/serial/by-path/platform-fe201000.serial';
  host.link(link, '/dev/ttyAMA0');
  expect(scan([], host.files)).toEqual([
    {
      what: '/dev/ttyAMA0: UART of this machine',
      listedAs: [],
      entry: {
        name: 'unknown-1',
        type: 'unknown',
        description: '/dev/ttyAMA0: UART of this machine',
        ttys: [link],
      },
      remarks: ['write what board is at its other end, if any'],
    },
  ]);
  const pool = await poolOf({ name: 'gps', type: 'gps', ttys: ['/dev/ttyAMA0'] });
  expect(scan(pool, host.files)).toMatchObject([{ listedAs: ['gps'], remarks: [] }]);
});

test('nothing is found on a host without USB', () => {
  expect(scan([], new FakeHost().files)).toEqual([]);
});
