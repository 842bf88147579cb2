/** What our commands do to a port that the kernel's own drivers have, as the chip sees it. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ChipWatch } from '../peers/chip-watch.ts';
import { needsGpioGuest, whyNoGpioGuest } from '../peers/gpio-guest.ts';
import { ROOT } from '../peers/running-lab.ts';
import { type BoardWire, SERIAL_TTYS, SerialGuest } from '../peers/serial-guest.ts';

let rig: SerialGuest;
let config: string;
let hangUpConfig: string;

beforeAll(async () => {
  if (whyNoGpioGuest()) return;
  rig = await SerialGuest.start();
  await rig.plugIn({ id: 'adapter', serial: 'A1', port: '1' });
  const devices = (hupcl: boolean): object[] =>
    Object.entries(SERIAL_TTYS).map(([type, tty]) => ({ name: `${type}-1`, type, ttys: [{ tty, hupcl }] }));
  config = await rig.configure('devices', devices(false));
  hangUpConfig = await rig.configure('hang-up', devices(true));
});
beforeEach(needsGpioGuest);
afterAll(async () => await rig?.[Symbol.asyncDispose]());

const KINDS = [
  { driver: 'ftdi_sio', type: 'usb' },
  { driver: '8250', type: 'uart' },
] as const;

function chipOf(type: 'usb' | 'uart'): ChipWatch {
  return type === 'usb' ? rig.usbChip : rig.uartChip;
}

function boardOf(type: 'usb' | 'uart'): BoardWire {
  return type === 'usb' ? rig.usb : rig.uart;
}

const PASSED = expect.objectContaining({ status: 0 });

describe.each(KINDS)('a tty of $driver', ({ type }) => {
  const tty = SERIAL_TTYS[type];

  test('has DTR and RTS raised together at its first open, and no close drops them', async () => {
    const script = `sai-expect -v --tty ${tty} --pause 1ms && sai-expect --driver serialport --tty ${tty} --pause 1ms`;
    const outcome = await rig.sh(script);
    expect({ ...outcome, lines: chipOf(type).report().lines }).toMatchObject({
      status: 0,
      lines: ['dtr rts'],
    });
    // Its driver counts what it loses.
    expect(outcome.stderr).toMatch(/0 bytes read, 0 bytes lost$/m);
  });

  test('keeps its lines through a lease, and drops both at its end where the config says hupcl', async () => {
    const inside = 'sai-expect --driver serialport --pause 1ms';
    const outcome = await rig.run('sai-device', [type, 'sh', '-c', inside], hangUpConfig);
    const { lines } = chipOf(type).report();
    expect({
      ...outcome,
      lines: lines.slice(-1),
      drops: lines.filter((each) => each === 'none').length,
    }).toMatchObject({
      status: 0,
      lines: ['none'],
      drops: 1,
    });
  });

  test('is driven by steps one by one, has both lines raised anew by the next open, and keeps them after', async () => {
    // What an ESP devkit is reset by: EN is low while RTS alone is asserted, IO0 while DTR alone is.
    const reset = 'sai-expect --dtr off --rts on --pause 1ms --rts off';
    const tool = 'sai-device --tool stty -F $SAI_DEVICE_TTY0 hupcl'; // which opens it without O_NOCTTY; its wish ends with it
    const lease = ['sh', '-c', `${reset} && sai-expect --pause 1ms && ${tool}`];
    const outcome = await rig.run('sai-device', [type, ...lease], config);
    expect({ ...outcome, lines: chipOf(type).report().lines }).toMatchObject({
      status: 0,
      lines: ['dtr rts', 'rts', 'none', 'dtr rts'],
    });
  });

  test('sends what was sent before a break, then the break', async () => {
    boardOf(type).said = '';
    const steps = ['--send', 'before', '--break', '5ms', '--send', 'after'];
    const outcome = await rig.run('sai-expect', ['--tty', tty, ...steps]);
    expect({ ...outcome, ...chipOf(type).report() }).toMatchObject({ status: 0, breaks: ['on', 'off'] });
    await boardOf(type).hears('beforeafter');
  });

  test('has the speed and format that were asked for', async () => {
    const args = ['--tty', tty, '--baud', '9600', '--format', '7O2', '--pause', '1ms'];
    const outcome = await rig.run('sai-expect', args);
    expect({ ...outcome, ...chipOf(type).report() }).toMatchObject({ status: 0, format: '9600 7O2' });
  });
});

test('a port is refused at a speed that its driver has not taken', async () => {
  const outcome = await rig.run('sai-expect', [
    '--tty',
    SERIAL_TTYS.uart,
    '--baud',
    '4000000',
    '--pause',
    '1ms',
  ]);
  expect(outcome).toMatchObject({ status: 74 });
  expect(outcome.stderr).toMatch(/expected a tty that can do speed 4000000, its driver has left it at \d+;/);
});

test('both lines are driven at once where a program asks so', async () => {
  const program = `
    import { openConsole } from '${ROOT}dist/expect-library.mjs';
    const console = await openConsole('${SERIAL_TTYS.usb}');
    await console.drive({ dtr: 'on', rts: 'off' });
    await console.drive({ dtr: 'off', rts: 'on' });
    await console.drive({ dtr: 'off', rts: 'off' });
    await console.release();`;
  rig.usbChip.report();
  const outcome = await rig.guest.run(process.execPath, ['--input-type=module', '-e', program]);
  expect({ ...outcome, ...rig.usbChip.report() }).toMatchObject({
    status: 0,
    stderr: '',
    lines: ['dtr', 'rts', 'none'],
  });
});

test('who looks at a leased tty, or waits for it, does not touch its lines', async () => {
  const held = rig.start('sai-device', ['usb', 'sh', '-c', 'echo held; exec sleep 1000'], config);
  await held.line(/held/);
  rig.usbChip.report();
  const looks = await rig.sh(
    `sai-device --list && sai-device --scan && sai-device --doctor
     sai-device --no-wait usb true; test $? = 75`,
    config,
  );
  expect({ ...looks, ...rig.usbChip.report() }).toMatchObject({ status: 0, requests: 0 });
  held.kill('SIGTERM');
  expect((await held.outcome).status).toBe(143);
});

test('what a board says on a 16550 that nobody has open is cut, and kept for the next reader under a lease', async () => {
  rig.uart.say('to nobody');
  const early = await rig.run('sai-expect', ['-v', '--tty', SERIAL_TTYS.uart, '--pause', '1ms']);
  // QEMU waits with most of it for a chip with room, as no wire does.
  expect(Number(/(\d+) bytes read/.exec(early.stderr)?.[1])).toBeLessThan('to nobody'.length);
  const script = 'echo held && until [ -e /tmp/rig/said ]; do sleep 0.1; done && sai-expect --expect kept';
  const held = rig.start('sai-device', ['uart', 'sh', '-c', script], config);
  await held.line(/held/);
  const { rx = 0 } = await rig.uartCounts();
  rig.uart.say('kept');
  await expect.poll(async () => (await rig.uartCounts())['rx']).toBe(rx + 4);
  await rig.guest.shell('touch /tmp/rig/said');
  expect(await held.outcome).toEqual(PASSED);
});

test('an FTDI chip is told of flow control', async () => {
  const flows: (number | undefined)[] = [];
  for (const flow of ['rtscts', 'xonxoff']) {
    expect(await rig.run('sai-expect', ['--tty', SERIAL_TTYS.usb, '--flow', flow, '--pause', '1ms'])).toEqual(
      PASSED,
    );
    flows.push(rig.usbChip.report().flow);
  }
  expect(flows).toEqual([1, 4]);
});

/** More than the kernel keeps for a reader that is stopped. Source: Linux, N_TTY_BUF_SIZE. */
const TOO_MUCH = `${'.'.repeat(6000)}\n`;

test.each([
  { flow: 'rtscts', lines: ['dtr', 'dtr rts'], sent: '' },
  { flow: 'xonxoff', lines: [], sent: '\x13\x11' },
])('a board at a 16550 is stopped by $flow while nobody reads', async ({ flow, lines, sent }) => {
  rig.uartChip.report();
  rig.uart.said = '';
  const args = ['-v', '--tty', SERIAL_TTYS.uart, '--flow', flow, '--expect', 'end', '--timeout', '10m'];
  const reader = rig.start('sai-expect', args);
  await reader.line(/--expect/);
  rig.uartChip.report();
  const { rx = 0 } = await rig.uartCounts();
  reader.kill('SIGSTOP');
  rig.uart.say(TOO_MUCH);
  await expect.poll(async () => (await rig.uartCounts())['rx']).toBe(rx + 6001);
  reader.kill('SIGCONT');
  rig.uart.say('end\n');
  expect(await reader.outcome).toEqual(PASSED);
  expect({ lines: rig.uartChip.report().lines, sent: rig.uart.said }).toEqual({ lines, sent });
});

test('bytes that a 16550 lost are counted and told', async () => {
  const args = ['-v', '--tty', SERIAL_TTYS.uart, '--expect', 'end', '--timeout', '10m'];
  const reader = rig.start('sai-expect', args);
  await reader.line(/--expect/);
  const { oe = 0 } = await rig.uartCounts();
  await rig.overrunUart();
  await expect.poll(async () => (await rig.uartCounts())['oe']).toBe(oe + 1);
  rig.uart.say('end');
  const { stderr } = await reader.outcome;
  // What its FIFO held, and the NUL that the kernel puts where bytes are missing.
  expect(stderr).toContain('20 bytes read, at least 1 byte lost\n');
  expect(stderr).toContain('the kernel lost bytes once, as nobody took them in time');
});

test('a break of the board is counted by the kernel, and is a NUL byte to who reads', async () => {
  const args = ['-v', '--tty', SERIAL_TTYS.uart, '--expect', '\\0', '--timeout', '10m'];
  const reader = rig.start('sai-expect', args);
  await reader.line(/--expect/);
  const { brk = 0 } = await rig.uartCounts();
  await rig.guest.monitor('chardev-send-break', { id: 'uart' });
  expect(await reader.outcome).toEqual(PASSED);
  expect((await rig.uartCounts())['brk']).toBe(brk + 1);
});
