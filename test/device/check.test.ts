import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ConfigReport, examineConfig } from '../../src/device/check.ts';
import { CH340, CP2102, FakeHost, UNO } from '../peers/fake-host.ts';
import { tempFolder } from '../temp-folder.ts';

const UNO_BY_PATH = '/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.1:1.0';
const UNO_BY_ID = `/dev/serial/by-id/usb-Arduino_(www.arduino.cc)_0043_${UNO.serial}-if00`;
const CP2102_BY_PATH = '/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port0';

/** With an Uno and a CP2102 that are plugged in. */
async function examine(config: string | object[], host = bench()): Promise<ConfigReport> {
  const path = join(tempFolder(), 'conf');
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify({ devices: config }));
  const report = await examineConfig(path, host.files);
  const bare = (text: string): string => text.replace(`${path}: `, '');
  return { ...report, errors: report.errors.map(bare), advice: report.advice.map(bare) };
}

function bench(): FakeHost {
  const host = new FakeHost();
  host.plug(UNO, { name: 'ttyACM0' });
  host.plug(CP2102, { name: 'ttyUSB0' });
  return host;
}

const GOOD = { name: 'uno1', type: 'uno', ttys: [UNO_BY_PATH] };

test('a good config has neither errors nor advice', async () => {
  const esp = { name: 'esp1', type: 'esp32', ttys: [CP2102_BY_PATH], usb: { serial: '0001' } };
  expect(await examine([GOOD, esp])).toEqual({ errors: [], advice: [], deviceCount: 2, ttyCount: 2 });
});

describe('errors:', () => {
  test('all that the schema refuses is said, not the first only', async () => {
    const { errors } = await examine([
      { name: 'a b', type: 'uno', tty: [] },
      { name: 'c', type: 'uno', ttys: ['ttyACM0'] },
    ]);
    expect(errors).toEqual([
      'devices.0: unknown key "tty" (did you mean "ttys"?)',
      'devices.0.name: expected a word without blanks, commas or =, got "a b"',
      'devices.1.ttys.0: expected an absolute path, got "ttyACM0"',
    ]);
  });

  test('each unknown key of an object is said, and what is missing without them', async () => {
    const { errors } = await examine([
      { name: 'a', type: 'uno', tys: ['x'], wat: 1 },
      { name: 'b', type: 'uno', ttys: [{ tty: '/dev/x', baud: 1, names: 'con' }] },
    ]);
    expect(errors).toEqual([
      'devices.0: unknown key "tys" (did you mean "ttys"?)',
      'devices.1.ttys.0: unknown key "baud"',
      'devices.0: unknown key "wat" (did you mean "wait"?)',
      'devices.1.ttys.0: unknown key "names" (did you mean "name"?)',
      'devices.0: expected at least one tty or one entry in locks, got nothing to lock',
    ]);
    const both = await examine([{ typ: 'uno', wat: 1, ttys: [{ tty: 7, rate: 'x' }] }]);
    expect(both.errors).toEqual([
      'devices.0: unknown key "typ" (did you mean "type"?)',
      'devices.0: unknown key "wat" (did you mean "wait"?)',
      'devices.0.name: expected a string, got nothing',
      'devices.0.type: expected a string, got nothing',
      'devices.0.ttys.0.tty: expected string, got 7',
      'devices.0.ttys.0.rate: expected number, got "x"',
    ]);
  });

  test('all that stands in the way of another device is said', async () => {
    const { errors } = await examine([
      { ...GOOD, maxLease: '1000h' },
      { ...GOOD, wait: '1000h' },
      { name: 'x', type: 'y' },
    ]);
    expect(errors).toEqual([
      'devices.0.maxLease: expected at most 596 h 31 min, got "1000h"',
      'devices.1.wait: expected at most 596 h 31 min, got "1000h"',
      'devices.1.name: expected a name of its own, got "uno1" again',
      `devices.1.ttys.0: expected a tty of uno1 alone, got ${UNO_BY_PATH}, which uno1 has too`,
      'devices.2: expected at least one tty or one entry in locks, got nothing to lock',
    ]);
  });

  test.each([UNO_BY_ID, '/dev/ttyACM0'])('one tty by two names, %s', async (path) => {
    const other = { name: 'uno2', type: 'uno', ttys: ['/dev/none', path] };
    expect((await examine([GOOD, other])).errors).toEqual([
      `devices.1.ttys.1: expected a tty of uno2 alone, got ${path}, which is ${UNO_BY_PATH} of uno1`,
    ]);
  });

  test('a jig that no client can ask', async () => {
    const jig = { url: 'ftp://pi', target: 'uno1' };
    expect((await examine([{ ...GOOD, jig }])).errors).toEqual([
      'devices.0.jig: expected a jig\'s URL, such as http://pi:44000/uno-1, got "ftp://pi/uno1"',
    ]);
  });

  test('a file that is not there, and one that is no JSON', async () => {
    expect(await examineConfig('/no/such/conf')).toMatchObject({
      errors: ['/no/such/conf: expected a config file, found none; write one or name another with --config'],
      deviceCount: 0,
    });
    expect((await examine('{ "devices": [')).errors).toHaveLength(1);
  });
});

describe('advice:', () => {
  const adviceOn = async (...devices: object[]): Promise<readonly string[]> => {
    const { errors, advice } = await examine(devices);
    expect(errors).toEqual([]);
    return advice;
  };

  test('a tty that the kernel numbers, with the link to write instead where it is plugged in', async () => {
    expect(await adviceOn({ ...GOOD, ttys: ['/dev/ttyUSB0', '/dev/ttyUSB7'] })).toEqual([
      `devices.0.ttys.0: /dev/ttyUSB0 goes to whichever board was plugged in first; write ${CP2102_BY_PATH}`,
      'devices.0.ttys.1: /dev/ttyUSB7 is not there now',
      'devices.0.ttys.1: /dev/ttyUSB7 goes to whichever board was plugged in first; write its link in /dev/serial/by-path',
    ]);
  });

  test('a by-id link of an adapter without a serial number, and of two that share one', async () => {
    const host = bench();
    host.plug(CH340, { name: 'ttyUSB1' });
    host.plug({ ...CP2102, port: '1-1.4' }, { name: 'ttyUSB2' });
    const byId = [
      '/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0',
      '/dev/serial/by-id/usb-Silicon_Labs_CP2102_USB_to_UART_Bridge_Controller_0001-if00-port0',
    ];
    const { advice } = await examine([{ ...GOOD, ttys: byId }], host);
    expect(advice).toEqual([
      `devices.0.ttys.0: ${byId[0]} leads to any adapter of its make, because they have no serial number; ` +
        'write /dev/serial/by-path/pci-0000:00:14.0-usb-0:1.3:1.0-port0',
      `devices.0.ttys.1: ${byId[1]} leads to one of two adapters with serial number 0001, at ports 1-1.2 and 1-1.4; ` +
        `write ${CP2102_BY_PATH}`,
    ]);
  });

  test('names of ttys that do not tell them apart', async () => {
    const ttys = [
      { tty: UNO_BY_PATH, name: 'con' },
      { tty: CP2102_BY_PATH, name: 'con' },
      { tty: UNO_BY_PATH, name: '0' },
    ];
    expect(await adviceOn({ ...GOOD, ttys })).toEqual([
      'devices.0.ttys.1.name: sai-expect --tty con takes the first tty of that name',
      `devices.0.ttys.2: ${UNO_BY_PATH} is listed before`,
      'devices.0.ttys.2.name: sai-expect --tty 0 takes it for an index; choose a word',
    ]);
  });

  test('words that leave open which device is meant', async () => {
    const other = { name: 'uno', type: 'unknown', ttys: [CP2102_BY_PATH] };
    expect(
      await adviceOn({ ...GOOD, tags: ['rev3'] }, other, {
        ...GOOD,
        name: 'uno2',
        ttys: [],
        locks: ['/dev'],
      }),
    ).toEqual([
      'devices.1.name: uno1 answers to "uno" too; a request for it may get either',
      'devices.1.type: say what board it is',
      'devices.2: has no tags, as uno1 of the same type has; --tag never takes it',
    ]);
  });

  test('locks that are no good names, or belong to two devices', async () => {
    const node = '/dev/bus/usb/001/004';
    expect(
      await adviceOn(
        { ...GOOD, locks: [node, UNO_BY_PATH] },
        { name: 'esp1', type: 'esp32', locks: ['/dev', UNO_BY_PATH] },
        { name: 'nrf1', type: 'nrf52', locks: ['/dev'] },
      ),
    ).toEqual([
      `devices.0.locks.0: ${node} is not there now`,
      `devices.0.locks.0: ${node} is another device after the next plugging; write /dev/sai/probe-SERIAL, ` +
        'a link that hardware/udev/70-sai-rig.rules makes for a probe',
      `devices.0.locks.1: ${UNO_BY_PATH} is one of its ttys, and locked as such`,
      `devices.1.locks.1: ${UNO_BY_PATH} belongs to uno1 too: while one of them is held, nobody gets the other`,
      'devices.2.locks.0: /dev belongs to esp1 too: while one of them is held, nobody gets the other',
    ]);
  });

  test('a probe that two devices have, which no lock of theirs keeps apart', async () => {
    const probe = { serial: 'X1', kind: 'jlink' };
    const advice = await adviceOn({ ...GOOD, probe }, { name: 'nrf1', type: 'nrf', locks: ['/dev'], probe });
    expect(advice).toContain(
      'devices.1.probe: uno1 has it too; list /dev/sai/probe-X1 in locks of both, so that one waits for the other',
    );
  });

  test('a board that is not the one that is meant', async () => {
    const [advice] = await adviceOn({ ...GOOD, usb: { serial: '0001' } });
    expect(advice).toMatch(
      /^devices\.0: expected the USB device with serial 0001, found .*; it is at port 1-1\.2: /,
    );
  });
});
