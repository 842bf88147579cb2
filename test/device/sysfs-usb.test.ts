import { expect, test } from 'vitest';
import {
  describeUsb,
  listUsbDevices,
  listUsbTtys,
  physicalName,
  usbDeviceBehind,
} from '../../src/device/sysfs-usb.ts';
import { CH340, CP2102, FakeHost, FT2232, STLINK, UNO } from '../peers/fake-host.ts';

test.each([
  ['ttyUSB0', 188, 'pci0000:00!0000:00:14.0!usb1!1-1!1-1.2!1-1.2:1.0#0'],
  ['ttyACM0', 166, 'pci0000:00!0000:00:14.0!usb1!1-1!1-1.2!1-1.2:1.0#0'],
])(
  '%s is named after where it is plugged in, and keeps the name under another number',
  (name, major, expected) => {
    const [before, after] = [new FakeHost(), new FakeHost()];
    before.plug(CP2102, { name });
    after.plug(CP2102, { name: name.replace('0', '3') });
    expect(physicalName(`${major}:0`, before.files)).toBe(expected);
    expect(physicalName(`${major}:3`, after.files)).toBe(expected);
  },
);

test('the ports of one adapter have names of their own, by interface and by port of an interface', () => {
  const host = new FakeHost();
  host.plug(
    FT2232,
    { name: 'ttyUSB0' },
    { name: 'ttyUSB1', interface: 1 },
    { name: 'ttyUSB2', portNumber: 1 },
  );
  const names = [0, 1, 2].map((minor) => physicalName(`188:${minor}`, host.files)?.split('!').at(-1));
  expect(names).toEqual(['1-2:1.0#0', '1-2:1.1#0', '1-2:1.0#1']);
});

test('a tty of the board itself is named as sysfs has it; an unknown number, and a name too long, have no name', () => {
  const host = new FakeHost();
  host.platformTty('ttyAMA0', '204:64');
  expect(physicalName('204:64', host.files)).toBe('platform!soc!fe201000.serial!tty!ttyAMA0');
  expect(physicalName('188:0', host.files)).toBeUndefined();
  host.plug({ ...CP2102, port: `1-${Array.from({ length: 40 }, () => '4').join('.')}` }, { name: 'ttyUSB0' });
  expect(physicalName('188:0', host.files)).toBeUndefined();
});

test('behind a tty, and behind the node of a USB device, is the adapter and not the hub', () => {
  const host = new FakeHost();
  host.plug({ ...CP2102, vid: '10C4' }, { name: 'ttyUSB0' });
  host.platformTty('ttyAMA0', '204:64');
  const adapter = {
    path: '1-1.2',
    vid: '10c4',
    pid: 'ea60',
    serial: '0001',
    manufacturer: 'Silicon Labs',
    product: 'CP2102 USB to UART Bridge Controller',
    folder: '/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.2',
  };
  expect(usbDeviceBehind('188:0', host.files)).toEqual(adapter);
  expect(usbDeviceBehind('189:2', host.files)).toEqual(adapter);
  expect(usbDeviceBehind('204:64', host.files)).toBeUndefined();
  expect(usbDeviceBehind('188:9', host.files)).toBeUndefined();
});

test('all that is plugged in is listed, and all ttys of it, in the order of their ports', () => {
  const host = new FakeHost();
  host.plug(STLINK, { name: 'ttyACM1', interface: 2 });
  host.plug({ ...CH340, port: '1-1.10' }, { name: 'ttyUSB0' });
  host.plug(UNO, { name: 'ttyACM0' });
  host.platformTty('ttyAMA0', '204:64');
  expect(listUsbDevices(host.files).map(({ path }) => path)).toEqual([
    '1-1',
    '1-1.1',
    '1-1.10',
    '2-1',
    'usb1',
    'usb2',
  ]);
  expect(listUsbTtys(host.files).map(({ name, usb }) => [name, usb.path])).toEqual([
    ['ttyACM0', '1-1.1'],
    ['ttyUSB0', '1-1.10'],
    ['ttyACM1', '2-1'],
  ]);
});

test('what a USB device calls itself cannot write to a terminal', () => {
  const host = new FakeHost();
  host.plug({ ...CH340, product: 'evil\u001b[2J\nname' }, { name: 'ttyUSB0' });
  const [tty] = listUsbTtys(host.files);
  expect(tty && describeUsb(tty.usb)).toBe('evil [2J name (1a86:7523, no serial, port 1-1.3)');
});

test('a host without USB, or without sysfs, has no USB devices', () => {
  const { files } = new FakeHost();
  expect(listUsbDevices(files)).toEqual([]);
  expect(listUsbTtys(files)).toEqual([]);
});
