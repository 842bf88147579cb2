/** USB adapters that go away and come back under a real kernel: its sysfs, its device nodes, its ftdi_sio. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Outcome } from '../peers/gpio-guest.ts';
import { needsGpioGuest, whyNoGpioGuest } from '../peers/gpio-guest.ts';
import { type Adapter, SerialGuest } from '../peers/serial-guest.ts';

vi.setConfig({ testTimeout: 60_000 }); // an emulated machine beside others

const BOARD = { id: 'board', serial: 'A1', port: '1' };
/** Another board of the same make. */
const STRANGER = { id: 'stranger', serial: 'B2', port: '2' };
/** Behind a hub. */
const SECOND = { id: 'second', serial: 'C3', port: '4.1' };
/** Stands for a by-path link: no udev runs in the guest. */
const LINK = '/tmp/rig/board';

let rig: SerialGuest;
let config: string;
let hastyConfig: string;
let impatientConfig: string;

beforeAll(async () => {
  if (whyNoGpioGuest()) return;
  rig = await SerialGuest.start();
  const device = { name: 'board-1', type: 'board', ttys: [LINK], usb: { serial: 'A1', vid: '0403' } };
  config = await rig.configure('devices', [{ ...device, reappear: '10m' }]);
  hastyConfig = await rig.configure('hasty', [{ ...device, reappear: '1s' }]);
  impatientConfig = await rig.configure('impatient', [{ ...device, reappear: '0s' }]);
}, 60_000);
beforeEach(needsGpioGuest);
beforeEach(async () => {
  await rig.plugIn(BOARD);
  await rig.guest.shell(`ln -sfn /dev/ttyUSB0 ${LINK}`);
});
afterEach(async () => {
  for (const { id } of [BOARD, STRANGER, SECOND]) {
    await rig?.guest.monitor('device_del', { id }).catch(() => {}); // it may be out
  }
  await rig?.guest.shell('while ls /dev/ttyUSB* > /tmp/rig/left 2>&1; do sleep 0.1; done');
});
afterAll(async () => {
  if (!rig) return;
  const log = await rig.guest.shell('dmesg');
  await rig[Symbol.asyncDispose]();
  expect(log).not.toMatch(/Oops|BUG:|WARNING:|Call Trace|use-after-free/);
});

/** Has the configured path lead to another adapter as soon as the board is gone. */
async function putInPlace(other: Adapter): Promise<void> {
  await rig.plugIn(other, '/dev/ttyUSB1', 'usb2');
  await rig.guest.shell(`ln -sfn /dev/ttyUSB1 ${LINK}`);
}

/** A lease whose command waits on the board for `end`. */
function waitingLease(used: string): ReturnType<SerialGuest['start']> {
  return rig.start(
    'sai-device',
    ['-v', 'board', 'sai-expect', '-v', '--expect', 'end', '--timeout', '10m'],
    used,
  );
}

describe('a leased adapter that is pulled out', () => {
  test('comes back in time: it is locked again, given to nobody meanwhile, and read on', async () => {
    const held = waitingLease(config);
    await held.line(/--expect/);
    await rig.unplug(BOARD);
    await held.line(/sai-device: .* went away/);
    const others = await rig.run('sai-device', ['--no-wait', 'board', 'true'], config);
    expect(others).toMatchObject({ status: 75, stdout: '' });
    await rig.plugIn(BOARD);
    await held.line(/sai-expect: .* is back/);
    expect((await rig.sh('flock -n /dev/ttyUSB0 true')).status).toBe(1);
    rig.usb.say('end\n');
    const { status, stderr } = await held.outcome;
    expect(status).toBe(0);
    expect(stderr).toContain('4 bytes read, 0 bytes lost\n');
  });

  test('is the same place under another number, while a program keeps the dead one open', async () => {
    const keeper = rig.guest.start('sh', ['-c', 'exec 3<>/dev/ttyUSB0; echo open; exec sleep 1000']);
    await keeper.line(/open/);
    const held = waitingLease(config);
    await held.line(/--expect/);
    await rig.unplug(BOARD);
    await rig.plugIn(BOARD, '/dev/ttyUSB1');
    // Who names the new node knows nothing of the link, and is kept out by the place.
    const device = { name: 'other', type: 'board', ttys: ['/dev/ttyUSB1'] };
    const otherConfig = await rig.configure('other', [device]);
    const others = await rig.run('sai-device', ['--no-wait', 'board', 'true'], otherConfig);
    expect(others).toMatchObject({ status: 75, stdout: '' });
    await rig.guest.shell(`ln -sfn /dev/ttyUSB1 ${LINK}`);
    await held.line(/sai-expect: .* is back/);
    rig.usb.say('end\n');
    expect((await held.outcome).status).toBe(0);
    keeper.kill('SIGKILL');
    await keeper.outcome;
  });

  test('ends the lease at once where it may not come back', async () => {
    const held = rig.start('sai-device', ['board', 'sh', '-c', 'echo up; exec sleep 1000'], impatientConfig);
    await held.line(/up/);
    await rig.unplug(BOARD);
    expect(await held.outcome).toEqual({
      status: 74,
      stdout: 'up\n',
      stderr: `sai-device: board-1: ${LINK} went away during the lease; check cable and power\n`,
    });
  });

  test('ends the lease when another one is in its place, which is neither locked nor read', async () => {
    const held = waitingLease(hastyConfig);
    await held.line(/--expect/);
    await putInPlace(STRANGER);
    rig.usbChip.report();
    rig.usb2.say('end\n');
    await rig.unplug(BOARD);
    const { status, stderr } = await held.outcome;
    expect(status).toBe(74);
    expect(stderr).toContain(
      `was not back within 1 s (expected the USB device with serial A1, vid 0403, found QEMU QEMU USB SERIAL (0403:6001, serial B2, port 1-2) behind ${LINK})`,
    );
    const next = await rig.run('sai-device', ['--no-wait', 'board', 'true'], config);
    expect(next.status).toBe(74);
    expect(next.stderr).toContain('serial B2');
    expect(rig.usbChip.report().requests).toBe(0);
  });
});

test('a command or a tool that had the tty as its controlling terminal has unplugged nothing by its end', async () => {
  // stty opens without O_NOCTTY; the kernel hangs the tty of a session's leader up, but for ptys.
  const inside = `sai-device --tool stty -F ${LINK} 9600 && exec 3<>${LINK}`;
  const outcome = await rig.run('sai-device', ['-v', 'board', 'sh', '-c', inside], impatientConfig);
  expect(outcome).toMatchObject({ status: 0 });
});

describe('a session that had the tty as its controlling terminal, and ends in the middle of a lease', () => {
  const session = `setsid sh -c 'exec 3<>${LINK}'`;

  test('ends no lease, also where the tty may not be away', async () => {
    const command = ['sh', '-c', `${session} && echo over && exec sleep 1000`];
    const held = rig.start('sai-device', ['-v', 'board', ...command], impatientConfig);
    await held.line(/over/);
    await held.line(/is back, and locked again/);
    expect((await rig.sh('flock -n /dev/ttyUSB0 true')).status).toBe(1);
    held.kill('SIGTERM');
    expect((await held.outcome).status).toBe(143);
  });

  test('leaves the speed to who read it, and has it again before the lease', async () => {
    // Who holds the lease stands still until the reader has the tty again.
    const command = `sai-expect -v --baud 9600 --expect end --timeout 10m 2> /tmp/rig/reader & reader=$!
      until grep -q -e --expect /tmp/rig/reader; do sleep 0.1; done
      kill -STOP $PPID && ${session}
      until grep -q 'is back' /tmp/rig/reader; do sleep 0.1; done
      kill -CONT $PPID && wait $reader`;
    const held = rig.start('sai-device', ['-v', 'board', 'sh', '-c', command], config);
    await held.line(/is back, and locked again/);
    rig.usb.say('end\n');
    expect((await held.outcome).status).toBe(0);
    expect(rig.usbChip.report().format).toBe('9600 8N1');
  });

  test('leaves nothing of its speed where it was a tool', async () => {
    const tool = `setsid sh -c 'exec 3<>${LINK}; stty 1200 <&3'`;
    const command = ['sh', '-c', `sai-device --tool ${tool} && stty -F ${LINK} speed`];
    const outcome = await rig.run('sai-device', ['board', ...command], impatientConfig);
    expect(outcome).toMatchObject({ status: 0, stdout: '115200\n' });
  });
});

test('a board whose ttys are always lent is not followed to another one either', async () => {
  const device = { name: 'board-1', type: 'board', ttys: [LINK], usb: { serial: 'A1' } };
  const lent = await rig.configure('lent', [{ ...device, lend: 'always', reappear: '1s' }]);
  const held = rig.start('sai-device', ['board', 'sh', '-c', 'echo up; exec sleep 1000'], lent);
  await held.line(/up/);
  await putInPlace(STRANGER);
  await rig.unplug(BOARD);
  const { status, stderr } = await held.outcome;
  expect({ status, stderr }).toEqual({ status: 74, stderr: expect.stringContaining('serial B2') });
});

test.each(['tty', 'serialport'])('without a lease its end is told at once (%s)', async (driver) => {
  const args = [
    '-v',
    '--echo',
    '--driver',
    driver,
    '--tty',
    '/dev/ttyUSB0',
    '--expect',
    'never',
    '--timeout',
    '10m',
  ];
  const reader = rig.start('sai-expect', args);
  await reader.line(/--expect/);
  rig.usb.say('last words\n');
  await reader.line(/last words/);
  await rig.unplug(BOARD);
  const { status, stderr } = await reader.outcome;
  expect(status).toBe(74);
  expect(stderr).toContain('11 bytes read, 0 bytes lost\n');
  expect(stderr).toMatch(/\/dev\/ttyUSB0: the tty went away \((?:hang-up|EIO)\) while waiting for "never"/);
});

test('its socket, numbers and serial are found in sysfs, behind a hub too', async () => {
  await rig.plugIn(SECOND, '/dev/ttyUSB1', 'usb2');
  const scanned: Outcome = await rig.run('sai-device', ['--scan', '--json'], config);
  const found = scanned.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  expect(found).toEqual([
    {
      what: '/dev/ttyUSB0: FTDI adapter, QEMU QEMU USB SERIAL (0403:6001, serial A1, port 1-1)',
      listedAs: ['board-1'],
      remarks: [],
    },
    {
      what: '/dev/ttyUSB1: FTDI adapter, QEMU QEMU USB SERIAL (0403:6001, serial C3, port 1-4.1)',
      listedAs: [],
      entry: {
        name: 'unknown-1',
        type: 'unknown',
        description: 'QEMU QEMU USB SERIAL (0403:6001, serial C3, port 1-4.1)',
        ttys: ['/dev/ttyUSB1'],
        usb: { serial: 'C3', vid: '0403', pid: '6001' },
      },
      remarks: [
        'any board may have this adapter: write what board it is for type unknown',
        '/dev/ttyUSB1 has no link in /dev/serial/by-path, and its name may change; is udev running?',
      ],
    },
  ]);
  const swapped = await rig.configure('swapped', [
    { name: 'b', type: 'board', ttys: ['/dev/ttyUSB0'], usb: { serial: 'C3', path: '1-4.1' } },
  ]);
  const doctor = await rig.run('sai-device', ['--doctor'], swapped);
  expect(doctor.status).toBe(78);
  expect(doctor.stdout).toContain('it is at port 1-4.1: plug it in where it was');
});
