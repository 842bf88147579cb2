/** What reaches an emulated serial chip, from QEMU's own trace: which is written before the guest goes on. */

import { closeSync, openSync, readSync } from 'node:fs';

/** The lines that are asserted. */
export type Driven = 'none' | 'dtr' | 'rts' | 'dtr rts';

/** What reached a chip since it was last asked. */
export interface ChipReport {
  /** Every state of its lines that differs from the one before. */
  readonly lines: Driven[];
  /** How often it was told, also what was so already. */
  readonly requests: number;
  readonly breaks: ('on' | 'off')[];
  /** The last, as `9600 7E2`. */
  readonly format: string | undefined;
  /** Source: FTDI's SIO_SET_FLOW_CTRL: 1 RTS/CTS, 4 XON/XOFF. Undefined for a 16550, which has none. */
  readonly flow: number | undefined;
}

/** What one line of the trace says of a chip. */
interface ChipEvent {
  /** Another chip from here on: nothing is driven. */
  readonly isNew?: true;
  readonly lines?: { readonly dtr?: boolean; readonly rts?: boolean };
  readonly break?: 'on' | 'off';
  readonly baud?: number;
  readonly frame?: string;
  readonly flow?: number;
}

export class ChipWatch {
  readonly #path: string;
  readonly #read: (line: string) => ChipEvent | undefined;
  #offset = 0;
  #dtr = false;
  #rts = false;
  #isBreaking = false;
  #baud: number | undefined;
  #frame: string | undefined;
  #flow: number | undefined;

  constructor(path: string, read: (line: string) => ChipEvent | undefined) {
    this.#path = path;
    this.#read = read;
  }

  /** Forgets what was until now: the chip is as after its reset. */
  startAnew(): void {
    this.report();
    [this.#dtr, this.#rts] = [false, false];
  }

  /** Since the last call. */
  report(): ChipReport {
    const lines: Driven[] = [];
    const breaks: ('on' | 'off')[] = [];
    let requests = 0;
    for (const line of this.#fresh()) {
      const event = this.#read(line);
      if (event?.isNew) [this.#dtr, this.#rts] = [false, false];
      if (event?.lines) {
        requests += 1;
        const { dtr = this.#dtr, rts = this.#rts } = event.lines;
        if (dtr !== this.#dtr || rts !== this.#rts) lines.push(drivenOf(dtr, rts));
        [this.#dtr, this.#rts] = [dtr, rts];
      }
      if (event?.break && this.#isBreaking !== (event.break === 'on')) {
        this.#isBreaking = event.break === 'on';
        breaks.push(event.break);
      }
      this.#baud = event?.baud ?? this.#baud;
      this.#frame = event?.frame ?? this.#frame;
      this.#flow = event?.flow ?? this.#flow;
    }
    const format = this.#baud && this.#frame ? `${this.#baud} ${this.#frame}` : undefined;
    return { lines, requests, breaks, format, flow: this.#flow };
  }

  #fresh(): string[] {
    const fd = openSync(this.#path, 'r');
    try {
      const parts: Buffer[] = [];
      const part = Buffer.alloc(65_536);
      for (let size = 1; size > 0; ) {
        size = readSync(fd, part, 0, part.length, this.#offset);
        this.#offset += size;
        parts.push(Buffer.from(part.subarray(0, size)));
      }
      return Buffer.concat(parts).toString('latin1').split('\n');
    } finally {
      closeSync(fd);
    }
  }
}

function drivenOf(dtr: boolean, rts: boolean): Driven {
  if (dtr) return rts ? 'dtr rts' : 'dtr';
  return rts ? 'rts' : 'none';
}

/** Source: 16550 data sheet, MCR and LCR; the divisor is told by QEMU. */
export function read16550(line: string): ChipEvent | undefined {
  const write = /^serial_write write addr 0x0([34]) val 0x(\w+)/.exec(line);
  if (write) {
    const value = Number.parseInt(write[2] ?? '', 16);
    if (write[1] === '4') return { lines: { dtr: (value & 1) !== 0, rts: (value & 2) !== 0 } };
    return { break: (value & 0x40) === 0 ? 'off' : 'on' };
  }
  const set = /^serial_update_parameters baudrate=(\d+) parity='(\w)' data=(\d) stop=(\d)/.exec(line);
  return set ? { baud: Number(set[1]), frame: `${set[3]}${set[2]}${set[4]}` } : undefined;
}

/** Source: FTDI's requests SIO_SET_MODEM_CTRL and SIO_SET_DATA; Linux, drivers/usb/serial/ftdi_sio.h. */
export function readFtdi(line: string): ChipEvent | undefined {
  const control = /^usb_serial_handle_control \S+ \S+ got control 0x400([14]), value 0x(\w+)/.exec(line);
  if (control) {
    const value = Number.parseInt(control[2] ?? '', 16);
    if (control[1] === '4') return { break: (value & 0x4000) === 0 ? 'off' : 'on' };
    const lines = {
      ...((value & 0x100) === 0 ? {} : { dtr: (value & 1) !== 0 }),
      ...((value & 0x200) === 0 ? {} : { rts: (value & 2) !== 0 }),
    };
    return { lines };
  }
  if (line === 'usb_serial_reset dev 0:0 reset') return { isNew: true }; // before it has an address
  const baud = /^usb_serial_set_baud \S+ \S+ baud rate (\d+)/.exec(line);
  if (baud) return { baud: Number(baud[1]) };
  const data = /^usb_serial_set_data \S+ \S+ parity (\w), data bits (\d), stop bits (\d)/.exec(line);
  if (data) return { frame: `${data[2]}${data[1]}${data[3]}` };
  const flow = /^usb_serial_set_flow_control \S+ \S+ flow control (\d+)/.exec(line);
  return flow ? { flow: Number(flow[1]) } : undefined;
}
