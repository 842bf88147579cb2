/**
 * The driver on node-serialport, for reading; the only file that knows it, loaded only when asked for.
 *
 * At the standard baud rates its open flushes what the board had said before: the one place where it falls short of
 * {@link Console}. Other rates keep it.
 */

import { closeSync, constants, openSync } from 'node:fs';
import { SerialPort } from 'serialport';
import { RigError } from '../base/errors.ts';
import { makeRaw, readTtySettings } from '../native/termios.ts';
import { ChunkQueue } from './chunk-queue.ts';
import type { Console, ConsoleOptions, DrivenLines } from './console.ts';
import { checkTaken, driveLines, sendBreak } from './line-control.ts';
import { Overruns } from './overruns.ts';
import { consoleReleased, ttyGone, ttyRefused } from './tty-errors.ts';
import { writeInPieces } from './write-in-pieces.ts';

/** The package reads a tty that hung up before its first wait again and again, and never tells. */
const HANG_UP_CHECK_MS = 250;

/**
 * Opens a tty through node-serialport, taking no lock: its own would be refused under a lease.
 *
 * @throws {RigError} blame `hardware` when it is missing, refused or not a tty
 */
export async function openSerialConsole(path: string, options: ConsoleOptions): Promise<Console> {
  const prepared = prepare(path, options);
  try {
    const port = new SerialPort({
      path,
      baudRate: options.baudRate,
      lock: false,
      hupcl: false, // means: as it is
      ...lineOptions(options),
      autoOpen: false,
    });
    await new Promise<void>((resolve, reject) => {
      port.open((error) => (error ? reject(error) : resolve()));
    });
    return new SerialConsole(port, prepared, options.label);
  } catch (error) {
    closeSync(prepared);
    throw error instanceof RigError ? error : ttyRefused(options.label, error);
  }
}

/**
 * What the package leaves out: CLOCAL before its open, HUPCL off, and a system's reason when the tty is refused,
 * where its own errors are sentences without a code.
 */
function prepare(path: string, options: ConsoleOptions): number {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    const hangUpOnClose = options.hangUpOnClose === 'keep' && readTtySettings(fd).hangUpOnClose;
    makeRaw(fd, { ...options, hangUpOnClose });
    checkTaken(fd, options);
    return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw error instanceof RigError ? error : ttyRefused(options.label, error);
  }
}

function lineOptions({ format = '8N1', flow = 'none' }: ConsoleOptions): LineOptions {
  return {
    dataBits: Number(format[0]) as 5 | 6 | 7 | 8,
    parity: ({ N: 'none', E: 'even', O: 'odd' } as const)[format[1] as 'N' | 'E' | 'O'],
    stopBits: Number(format[2]) as 1 | 2,
    rtscts: flow === 'rtscts',
    xon: flow === 'xonxoff',
    xoff: flow === 'xonxoff',
  };
}

interface LineOptions {
  readonly dataBits: 5 | 6 | 7 | 8;
  readonly parity: 'none' | 'even' | 'odd';
  readonly stopBits: 1 | 2;
  readonly rtscts: boolean;
  readonly xon: boolean;
  readonly xoff: boolean;
}

class SerialConsole implements Console {
  readonly label: string;
  readonly #port: SerialPort;
  readonly #fd: number;
  readonly #hangUpCheck: NodeJS.Timeout;
  readonly #queue = new ChunkQueue(() => this.#port.resume());
  readonly #overruns: Overruns;
  readonly #ended = new AbortController();
  readonly #closed: Promise<void>;

  /** Owns `port` and `fd`, which is the same tty, non-blocking. */
  constructor(port: SerialPort, fd: number, label: string) {
    this.label = label;
    this.#port = port;
    this.#fd = fd;
    this.#overruns = new Overruns(fd);
    this.#closed = new Promise((resolve) => {
      port.once('close', () => {
        closeSync(fd);
        resolve();
      });
    });
    port.on('data', (chunk: Buffer) => {
      if (!this.#ended.signal.aborted) this.#overruns.look();
      if (!this.#queue.push(Uint8Array.from(chunk))) port.pause();
    });
    this.#hangUpCheck = setInterval(() => this.#endIfHungUp(), HANG_UP_CHECK_MS);
    port.on('error', (error) => this.#end(ttyGone(label, error)));
    port.on('close', () => this.#end(ttyGone(label)));
  }

  get bytes(): AsyncIterable<Uint8Array> {
    return this.#queue;
  }

  get overruns(): number | undefined {
    if (!this.#ended.signal.aborted) this.#overruns.look();
    return this.#overruns.count;
  }

  async send(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const until = signal ? AbortSignal.any([this.#ended.signal, signal]) : this.#ended.signal;
    until.throwIfAborted();
    if (bytes.length === 0) return;
    try {
      // Not by the package: its writer can wait for ever when bytes arrive while the tty is full.
      await writeInPieces(this.#fd, bytes, until);
    } catch (error) {
      throw until.aborted ? until.reason : ttyGone(this.label, error);
    }
  }

  async sendBreak(durationMs: number, signal?: AbortSignal): Promise<void> {
    const until = signal ? AbortSignal.any([this.#ended.signal, signal]) : this.#ended.signal;
    await sendBreak(this.#fd, this.label, durationMs, until);
  }

  drive(lines: DrivenLines): void {
    this.#ended.signal.throwIfAborted();
    driveLines(this.#fd, this.label, lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended.signal.aborted) this.#overruns.look(); // the last that can be known
    this.#end(consoleReleased(this.label), 'released');
    await this.#closed;
  }

  #endIfHungUp(): void {
    try {
      readTtySettings(this.#fd);
    } catch (error) {
      this.#end(ttyGone(this.label, error));
    }
  }

  #end(error: Error, how: 'gone' | 'released' = 'gone'): void {
    clearInterval(this.#hangUpCheck);
    this.#ended.abort(error);
    this.#queue.end(how === 'gone' ? error : undefined);
    if (this.#port.isOpen) this.#port.close(() => {});
  }
}
