import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { GpioGuest, type GuestProcess, needsGpioGuest, whyNoGpioGuest } from '../peers/gpio-guest.ts';
import { askJig } from '../peers/running-jig.ts';
import { ROOT } from '../peers/running-lab.ts';
import { until } from '../until.ts';

const TTY = '/dev/ttyUSB0';
const ADAPTER = { driver: 'usb-serial', id: 'adapter', chardev: 'wire', 'always-plugged': true };

/** The auto-reset circuit of ESP boards: RTS pulls EN low, DTR pulls IO0 low, both together nothing. */
const CONFIG = {
  schema: 'sai-jig',
  chips: { usb: { kind: 'modem', tty: TTY } },
  targets: [
    {
      name: 'esp',
      gpios: [
        { name: 'reset', chip: 'usb', line: 'rts' },
        { name: 'boot', chip: 'usb', line: 'dtr' },
      ],
      sequences: [
        {
          name: 'bootloader',
          seq: [
            { set: { reset: 1, boot: 0 } },
            { set: { reset: 0, boot: 1 } },
            { gpio_name: 'boot', value: 0 },
          ],
        },
        { name: 'hold', seq: [{ gpio_name: 'reset', value: 1 }] },
      ],
    },
  ],
};

const folder = mkdtempSync(join(tmpdir(), 'sai-'));
const trace = join(folder, 'trace');
let guest: GpioGuest;

beforeAll(async () => {
  if (whyNoGpioGuest()) return;
  const adapter = ['-device', 'qemu-xhci', '-chardev', 'null,id=wire', '-device', JSON.stringify(ADAPTER)];
  guest = await GpioGuest.start({
    devices: [...adapter, '-D', trace, '-trace', 'usb_serial_handle_control'],
  });
  await guest.shell(`cat > /tmp/jig.json <<'END'\n${JSON.stringify(CONFIG)}\nEND`);
});
beforeEach(needsGpioGuest);
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** What the adapter was told of its lines since, in the order of telling; as it sees it, and not as we say it. */
function told(since = 0): string[] {
  // Source: FTDI's SIO_SET_MODEM_CTRL: the low byte has DTR and RTS, the high byte which of them is meant.
  const names = ['none', 'dtr', 'rts', 'both'];
  const text = readFileSync(trace, 'utf8');
  return [...text.matchAll(/got control 0x4001, value 0x3(\d\d)$/gm)]
    .map(([, value]) => names[Number(value)] ?? `${value}`)
    .slice(since);
}

async function startJig(): Promise<GuestProcess> {
  await guest.shell(`until test -e ${TTY}; do sleep 0.1; done`);
  const args = [
    join(ROOT, 'bin/sai-jig'),
    '--config',
    '/tmp/jig.json',
    '--host',
    '0.0.0.0',
    '--port',
    '8080',
  ];
  const jig = guest.start(process.execPath, args);
  await jig.line(/ready on/);
  return jig;
}

async function ask(path: string): Promise<number> {
  return (await askJig(guest.httpPort, path)).status;
}

test('the lines of an adapter change together, and a jig that is stopped leaves none asserted', async () => {
  const before = told().length;
  const jig = await startJig();
  // The kernel asserts both at the open; our first call ends that.
  expect(told(before)).toEqual(['both', 'none']);
  expect(await ask('/esp/bootloader')).toBe(200);
  expect(told(before).slice(2)).toEqual(['rts', 'dtr', 'none']);
  expect(await ask('/esp/hold')).toBe(200);
  jig.kill('SIGTERM');
  expect((await jig.outcome).status).toBe(143);
  const after = told(before).slice(5);
  expect(after[0]).toBe('rts');
  expect(new Set(after.slice(1))).toEqual(new Set(['none']));
});

test('of a jig that is killed the kernel ends to assert lines', async () => {
  const jig = await startJig();
  expect(await ask('/esp/hold')).toBe(200);
  expect(told().at(-1)).toBe('rts');
  jig.kill('SIGKILL');
  expect((await jig.outcome).status).toBe('SIGKILL');
  await until(() => told().at(-1) === 'none', 'the kernel has closed the tty');
});

test('what the board says is not sent back to it by a tty that only the jig holds', async () => {
  const jig = await startJig();
  expect(await guest.shell(`stty -F ${TTY} -a`)).toMatch(/ -echo /);
  jig.kill('SIGKILL');
  await jig.outcome;
});

test('an adapter that is pulled out takes its lines along, and they are taken again once it is back', async () => {
  const jig = await startJig();
  expect(await ask('/esp/hold')).toBe(200);
  await guest.monitor('device_del', { id: ADAPTER.id });
  await jig.line(/the tty is not there; waiting for it to return|EIO|ENODEV/);
  expect(await ask('/healthz')).toBe(503);
  expect(await ask('/esp/bootloader')).toBe(503);
  const before = told().length;
  await guest.monitor('device_add', ADAPTER);
  await jig.line(/the chip is back, its lines are safe/);
  expect(told(before)).toEqual(expect.arrayContaining(['both', 'none']));
  expect(told().at(-1)).toBe('none');
  expect(await ask('/esp/bootloader')).toBe(200);
  jig.kill('SIGTERM');
  await jig.outcome;
});
