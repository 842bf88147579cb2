import { expect, test } from 'vitest';
import type { PooledDevice } from '../../src/device/pool.ts';
import { identityProblem, type LockedNode, returnProblem } from '../../src/device/usb-identity.ts';
import { CH340, CP2102, FakeHost, FT2232, STLINK, UNO } from '../peers/fake-host.ts';

type Wanted = Partial<Pick<PooledDevice, 'usb' | 'probe'>>;

const USB0 = { path: '/dev/ttyUSB0', number: '188:0' };
const ACM0 = { path: '/dev/ttyACM0', number: '166:0' };

function bench(): FakeHost {
  const host = new FakeHost();
  host.plug(CP2102, { name: 'ttyUSB0' });
  host.plug(UNO, { name: 'ttyACM0' });
  host.plug(STLINK);
  return host;
}

function problem(
  { usb, probe }: Wanted,
  nodes: readonly LockedNode[] = [USB0],
  host = bench(),
): string | undefined {
  const found = identityProblem({ usb, probe }, nodes, host.files);
  return found && `${found.problem}; ${found.cure}`;
}

test.each<[string, Wanted]>([
  ['nothing', {}],
  ['the serial number', { usb: { serial: '0001' } }],
  ['the numbers and the port', { usb: { vid: '10c4', pid: 'ea60', path: '1-1.2' } }],
  ['the USB device of another tty of the device', { usb: { serial: UNO.serial ?? '' } }],
  ['the probe', { probe: { serial: STLINK.serial ?? '', kind: 'stlink' } }],
])('a device that is what the config says has no problem: %s', (_name, wanted) => {
  expect(problem(wanted, [USB0, ACM0])).toBeUndefined();
});

test('another board at the tty is named, with what was expected', () => {
  expect(problem({ usb: { serial: 'A9', vid: '10c4' } })).toBe(
    'expected the USB device with serial A9, vid 10c4, found ' +
      'Silicon Labs CP2102 USB to UART Bridge Controller (10c4:ea60, serial 0001, port 1-1.2) behind /dev/ttyUSB0; ' +
      'plug the right board in, or correct usb in the config',
  );
});

test('keys that only two USB devices together have are no match', () => {
  expect(problem({ usb: { vid: '2341', pid: 'ea60' } }, [USB0, ACM0])).toMatch(
    /^expected the USB device with vid 2341, pid ea60, found .* behind \/dev\/ttyUSB0, .* behind \/dev\/ttyACM0; /,
  );
});

test('a board that is plugged in somewhere else is said to be there', () => {
  expect(problem({ usb: { serial: UNO.serial ?? '' } })).toMatch(
    /; it is at port 1-1\.1: plug it in where it was, or correct ttys in the config$/,
  );
});

test('a tty that is on no USB device, and a plain file, are not the board', () => {
  const host = bench();
  host.platformTty('ttyAMA0', '204:64');
  const nodes = [
    { path: '/dev/ttyAMA0', number: '204:64' },
    { path: '/tmp/lock', number: undefined },
  ];
  expect(problem({ usb: { path: '1-1.2' } }, nodes, host)).toBe(
    'expected the USB device with path 1-1.2, found none behind /dev/ttyAMA0, none behind /tmp/lock; ' +
      'plug the right board in, or correct usb in the config',
  );
});

test('an adapter without a serial number does not have the one that is expected', () => {
  const host = new FakeHost();
  host.plug(CH340, { name: 'ttyUSB0' });
  expect(problem({ usb: { serial: 'x' } }, [USB0], host)).toContain('(1a86:7523, no serial, port 1-1.3)');
});

test('a probe that is absent is a problem that names what there is of its kind', () => {
  const absent = { serial: '066D', kind: 'stlink' } as const;
  expect(problem({ probe: absent })).toBe(
    'expected the stlink probe with serial 066D, found only ' +
      `STMicroelectronics STM32 STLink (0483:374b, serial ${STLINK.serial}, port 2-1); plug the probe in, or correct the config`,
  );
  expect(problem({ probe: absent }, [USB0], new FakeHost())).toBe(
    'expected the stlink probe with serial 066D, found none; plug the probe in, or correct the config',
  );
});

test('a serial number that belongs to another kind of device is not the probe', () => {
  expect(problem({ probe: { serial: '0001', kind: 'jlink' } })).toMatch(
    /^expected the jlink probe with serial 0001, found .*10c4:ea60.*; correct probe in the config$/,
  );
});

test.each([
  ['jlink', { port: '3-1', vid: '1366', pid: '0105', serial: '000123456789' }, '123456789'],
  [
    'cmsis-dap',
    { port: '3-1', vid: '2e8a', pid: '000c', product: 'Debug Probe (CMSIS-DAP)', serial: 'E66' },
    'E66',
  ],
  [
    'esp-usb-jtag',
    { port: '3-1', vid: '303a', pid: '1001', serial: '7C:DF:A1:00:00:01' },
    '7C:DF:A1:00:00:01',
  ],
  ['ftdi', FT2232, 'FT4QLKYZ'],
] as const)('a probe of kind %s is known', (kind, usb, serial) => {
  const host = new FakeHost();
  host.plug(usb);
  expect(problem({ probe: { serial, kind } }, [USB0], host)).toBeUndefined();
  expect(problem({ probe: { serial, kind: 'stlink' } }, [USB0], host)).toMatch(/^expected the stlink probe/);
});

test('a board that comes back has to be the one that went away', () => {
  const host = bench();
  const tty = { path: '/dev/ttyUSB0', name: undefined, baudRate: 9600, locked: true, hangUpOnClose: false };
  const returned = (serial: string): string | undefined =>
    returnProblem({ usb: { serial }, ttys: [tty] }, host.files)?.problem;
  expect(returned('0001')).toBeUndefined();
  expect(returned(UNO.serial ?? '')).toMatch(
    /^expected the USB device with serial \S+, found .* behind \/dev\/ttyUSB0$/,
  );
});
