/** What the numbers of USB devices tell: which debug probe it is, or which board may be behind an adapter. */

import type { ProbeKind } from '../wire/device.ts';
import type { UsbDevice } from './sysfs-usb.ts';

/** `vid:pid`, or `vid:` for all of one maker. */
type UsbId = string;

/**
 * Source: OpenOCD tcl/interface/stlink.cfg, esp_usb_jtag.cfg and esp_usb_bridge.cfg; contrib/60-openocd.rules (the rest).
 */
const PROBE_IDS: Readonly<Record<ProbeKind, readonly UsbId[]>> = {
  stlink: [
    '0483:3744',
    '0483:3748',
    '0483:374b',
    '0483:374d',
    '0483:374e',
    '0483:374f',
    '0483:3752',
    '0483:3753',
    '0483:3754',
    '0483:3755',
    '0483:3757',
  ],
  jlink: ['1366:'],
  // And whatever calls itself so: CMSIS-DAP is told by the product's name, not by a number.
  'cmsis-dap': ['04b4:f138'],
  'esp-usb-jtag': ['303a:1001', '303a:1002'],
  // Olimex builds its own on FTDI chips.
  ftdi: ['0403:', '15ba:0003', '15ba:0004', '15ba:002a', '15ba:002b'],
};

/** Whether that is such a probe. */
export function isProbeOfKind(device: UsbDevice, kind: ProbeKind): boolean {
  if (kind === 'cmsis-dap' && device.product?.includes('CMSIS-DAP')) return true;
  return PROBE_IDS[kind].some((id) => matches(device, id));
}

/** Whether a probe's serial number is the one that is wanted: a J-Link's has zeros in front, in its tools none. */
export function isProbeSerial(found: string, wanted: string, kind: ProbeKind): boolean {
  const bare = (text: string): string => (kind === 'jlink' ? text.replace(/^0+/, '') : text);
  return bare(found) === bare(wanted);
}

/** The kind of a device that is a probe whatever else it is; an FTDI chip is most often just an adapter. */
export function probeKindOf(device: UsbDevice): ProbeKind | undefined {
  const kinds: readonly ProbeKind[] = ['stlink', 'jlink', 'cmsis-dap', 'esp-usb-jtag'];
  return kinds.find((kind) => isProbeOfKind(device, kind));
}

/** What a USB number says of the board behind it. */
export interface BoardGuess {
  /** A word for `type`; `unknown` when the number belongs to an adapter that any board may have. */
  readonly type: string;
  readonly what: string;
}

export const UNKNOWN_TYPE = 'unknown';

const adapter = (what: string): BoardGuess => ({ type: UNKNOWN_TYPE, what });

/**
 * Source: Arduino's boards.txt (uno, mega, leonardo, micro); Linux drivers/usb/serial/cp210x.c, ch341.c, ftdi_sio_ids.h
 * (adapters); Raspberry Pi's usb-pid list (2e8a); espressif/usb-pids and ESP-IDF (303a); PROBE_IDS (probes' own ttys).
 */
const BOARDS: readonly (readonly [ids: readonly UsbId[], guess: BoardGuess])[] = [
  [['2341:0043', '2341:0001', '2a03:0043', '2341:0243', '2341:006a'], { type: 'uno', what: 'Arduino Uno' }],
  [
    ['2341:0010', '2341:0042', '2a03:0010', '2a03:0042', '2341:0210', '2341:0242'],
    { type: 'mega', what: 'Arduino Mega' },
  ],
  [['2341:0036', '2341:8036', '2a03:0036', '2a03:8036'], { type: 'leonardo', what: 'Arduino Leonardo' }],
  [
    ['2341:0037', '2341:8037', '2a03:0037', '2a03:8037', '2341:0237', '2341:8237'],
    { type: 'micro', what: 'Arduino Micro' },
  ],
  [['2e8a:000a'], { type: 'pico', what: 'Raspberry Pi Pico' }],
  [['303a:1001'], adapter('USB serial of an ESP32-S3, C3 or newer')],
  [['10c4:ea60'], adapter('CP210x adapter')],
  [['1a86:7522', '1a86:7523', '1a86:5523'], adapter('CH340 or CH341 adapter')],
  [['1a86:55d3', '1a86:55d4'], adapter('CH343 or CH9102 adapter')],
  [['0403:'], adapter('FTDI adapter')],
  [['067b:2303'], adapter('PL2303 adapter')],
  [PROBE_IDS.stlink, adapter('ST-LINK of an STM32 board')],
  [PROBE_IDS.jlink, adapter('J-Link, as on Nordic and Silicon Labs kits')],
];

/** What may be behind a USB device that has a tty. */
export function guessBoard(device: UsbDevice): BoardGuess {
  const found = BOARDS.find(([ids]) => ids.some((id) => matches(device, id)));
  if (found) return found[1];
  return adapter(probeKindOf(device) === 'cmsis-dap' ? 'CMSIS-DAP probe' : 'adapter');
}

function matches({ vid, pid }: UsbDevice, id: UsbId): boolean {
  return `${vid}:${pid}`.startsWith(id);
}
