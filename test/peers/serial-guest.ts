/**
 * The guest with serial ports that the kernel's own drivers are bound to: a 16550 (8250) and USB adapters (ftdi_sio) that
 * come and go. QEMU's trace tells what reaches the chips, sockets are the boards' ends of the wires.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../until.ts';
import { ChipWatch, read16550, readFtdi } from './chip-watch.ts';
import { GpioGuest, type GuestProcess, type Outcome, type RunOptions } from './gpio-guest.ts';
import { ROOT } from './running-lab.ts';

/** Where QEMU puts the second serial port of a PC. Source: QEMU hw/char/serial-isa.c. */
const UART_BASE = 0x2f8;
const UART_TTY = '/dev/ttyS1';
/** Source: 16550 data sheet: line and modem control registers, the FIFO. */
const REGISTER = { transmit: 0, modemControl: 4 };
const DTR_RTS_OUT2 = 0x0b;
const LOOP = 0x10;
const FIFO_BYTES = 16;

export interface Adapter {
  readonly id: string;
  readonly serial: string;
  /** Of the controller: `1`; behind its hub: `4.1`. */
  readonly port: string;
}

export class SerialGuest implements AsyncDisposable {
  readonly guest: GpioGuest;
  /** The board at the 16550. */
  readonly uart: BoardWire;
  /** The board at whatever adapter is plugged in first. */
  readonly usb: BoardWire;
  /** The board at a second adapter. */
  readonly usb2: BoardWire;
  readonly uartChip: ChipWatch;
  /** Of both adapters. */
  readonly usbChip: ChipWatch;
  readonly #folder: string;
  readonly #wires: readonly BoardWire[];

  /** With `/dev/ttyS1`, and no adapter yet. */
  static async start(): Promise<SerialGuest> {
    const folder = mkdtempSync(join(tmpdir(), 'sai-'));
    const trace = join(folder, 'trace');
    const wires = ['uart', 'usb', 'usb2'].map((name) => new BoardWire(join(folder, name)));
    const chardev = (name: string): string[] => ['-chardev', `socket,id=${name},path=${join(folder, name)}`];
    const devices = [
      ...[
        '-D',
        trace,
        '-trace',
        'usb_serial_*',
        '-trace',
        'serial_write',
        '-trace',
        'serial_update_parameters',
      ],
      ...[...chardev('uart'), ...chardev('usb'), ...chardev('usb2')],
      ...['-device', 'isa-serial,chardev=uart,index=1'],
      ...['-device', 'qemu-xhci,id=xhci', '-device', 'usb-hub,bus=xhci.0,port=4'],
    ];
    try {
      const guest = await GpioGuest.start({ devices });
      await guest.shell('mkdir -p /run/sai /tmp/rig');
      return new SerialGuest({ guest, folder, wires, trace });
    } catch (error) {
      for (const wire of wires) wire.close();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(parts: {
    guest: GpioGuest;
    folder: string;
    wires: readonly BoardWire[];
    trace: string;
  }) {
    this.guest = parts.guest;
    this.#folder = parts.folder;
    this.#wires = parts.wires;
    [this.uart, this.usb, this.usb2] = parts.wires as [BoardWire, BoardWire, BoardWire];
    this.uartChip = new ChipWatch(parts.trace, read16550);
    // The trace does not tell the machine's own console from it, which nobody opens or closes from here on.
    this.uartChip.startAnew();
    this.usbChip = new ChipWatch(parts.trace, readFtdi);
  }

  /** Resolves once its tty is there. */
  async plugIn({ id, serial, port }: Adapter, tty = '/dev/ttyUSB0', chardev = 'usb'): Promise<void> {
    const device = { driver: 'usb-serial', id, serial, port, chardev, bus: 'xhci.0' };
    await this.guest.monitor('device_add', device);
    await this.guest.shell(`until [ -c ${tty} ]; do sleep 0.1; done`);
  }

  /** Resolves once the kernel has taken its tty away. */
  async unplug({ id }: Pick<Adapter, 'id'>, tty = '/dev/ttyUSB0'): Promise<void> {
    await this.guest.monitor('device_del', { id });
    await this.guest.shell(`while [ -c ${tty} ]; do sleep 0.1; done`);
  }

  /** Has the 16550 lose bytes: more than its FIFO holds arrive while the machine stands still. */
  async overrunUart(): Promise<void> {
    const write = async (register: number, value: number): Promise<void> => {
      const order = `o/b ${UART_BASE + register} ${value}`;
      await this.guest.monitor('human-monitor-command', { 'command-line': order });
    };
    await this.guest.monitor('stop');
    // In its loop-back mode the chip receives what it sends, without a look at whether there is room.
    await write(REGISTER.modemControl, DTR_RTS_OUT2 | LOOP);
    for (let sent = 0; sent <= FIFO_BYTES; sent++) await write(REGISTER.transmit, 0x2e);
    await write(REGISTER.modemControl, DTR_RTS_OUT2);
    await this.guest.monitor('cont');
  }

  /** A file of a config in the guest. */
  async configure(name: string, devices: readonly object[]): Promise<string> {
    const path = `/tmp/rig/${name}.json`;
    await this.guest.run('tee', [path], { input: JSON.stringify({ devices }) });
    return path;
  }

  /** One of the built commands. */
  start(command: string, args: readonly string[], config?: string): GuestProcess {
    return this.guest.start(join(ROOT, 'bin', command), args, this.#options(config));
  }

  async run(command: string, args: readonly string[], config?: string): Promise<Outcome> {
    return await this.start(command, args, config).outcome;
  }

  /** A shell line that may use the built commands. */
  async sh(script: string, config?: string): Promise<Outcome> {
    return await this.guest.run('/bin/sh', ['-c', script], this.#options(config));
  }

  /** What the kernel's drivers have counted of `/dev/ttyS1`: `{tx: 0, rx: 3, brk: 1}`. */
  async uartCounts(): Promise<Record<string, number>> {
    const text = await this.guest.shell('grep "^1:" /proc/tty/driver/serial');
    return Object.fromEntries(
      [...text.matchAll(/\b(tx|rx|brk|oe|fe|pe|bo):(\d+)/g)].map(([, name, n]) => [name, Number(n)]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest[Symbol.asyncDispose]();
    for (const wire of this.#wires) wire.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #options(config: string | undefined): RunOptions {
    const PATH = `${join(ROOT, 'bin')}:${process.env['PATH']}`;
    return { env: { PATH, ...(config === undefined ? {} : { SAI_DEVICES_CONF: config }) } };
  }
}

/** Tells it apart from the PC's first port, which is the machine's own console. */
export const SERIAL_TTYS = { uart: UART_TTY, usb: '/dev/ttyUSB0' } as const;

/** A board's end of a wire: bytes as they come, for as long as the machine is there. */
export class BoardWire {
  said = '';
  readonly #server: Server;
  #link: Socket | undefined;

  constructor(path: string) {
    this.#server = createServer((link) => {
      this.#link = link;
      link.on('data', (bytes: Buffer) => {
        this.said += bytes.toString('latin1');
      });
      link.on('error', () => {}); // the machine has ended
    });
    this.#server.listen(path);
  }

  /** To the machine. */
  say(text: string): void {
    this.#link?.write(text);
  }

  /** Resolves once the machine has sent it. */
  async hears(text: string): Promise<void> {
    await until(() => this.said.includes(text), `the board hears ${JSON.stringify(text)}`);
  }

  close(): void {
    this.#link?.destroy();
    this.#server.close();
  }
}
