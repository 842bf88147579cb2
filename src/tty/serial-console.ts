/**
 * The driver on node-serialport; the only file that knows it, loaded only when asked for.
 *
 * At the standard baud rates its open flushes what the board had said before: the one place where it falls short of
 * {@link Console}. Other rates keep it.
 */

import { access, constants } from 'node:fs/promises';
import { SerialPort } from 'serialport';
import { errnoCode } from '../base/errors.ts';
import { ChunkQueue } from './chunk-queue.ts';
import type { Console, ConsoleOptions } from './console.ts';
import { consoleReleased, ttyGone, ttyRefused } from './tty-errors.ts';

/**
 * Opens a tty through node-serialport, taking no lock: its own would be refused under a lease.
 *
 * @throws {RigError} blame `hardware` when it is missing, refused or not a tty
 */
export async function openSerialConsole(path: string, options: ConsoleOptions): Promise<Console> {
  const port = new SerialPort({
    path,
    baudRate: options.baudRate,
    lock: false,
    hupcl: options.hangUpOnClose === 'keep',
    autoOpen: false,
  });
  try {
    // Its own errors are sentences without a code.
    await access(path, constants.R_OK | constants.W_OK);
    await new Promise<void>((resolve, reject) => {
      port.open((error) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    throw ttyRefused(options.label, errnoCode(error) === undefined ? withCode(error) : error);
  }
  return new SerialConsole(port, options.label);
}

class SerialConsole implements Console {
  readonly label: string;
  readonly #port: SerialPort;
  readonly #queue = new ChunkQueue(() => this.#port.resume());
  readonly #ended = new AbortController();
  readonly #closed: Promise<void>;

  constructor(port: SerialPort, label: string) {
    this.label = label;
    this.#port = port;
    this.#closed = new Promise((resolve) => port.once('close', () => resolve()));
    port.on('data', (chunk: Buffer) => {
      if (!this.#queue.push(Uint8Array.from(chunk))) port.pause();
    });
    port.on('error', (error) => this.#end(ttyGone(label, error)));
    port.on('close', () => this.#end(ttyGone(label)));
  }

  get bytes(): AsyncIterable<Uint8Array> {
    return this.#queue;
  }

  async send(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const until = signal ? AbortSignal.any([this.#ended.signal, signal]) : this.#ended.signal;
    until.throwIfAborted();
    if (bytes.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => reject(until.reason as Error);
      until.addEventListener('abort', stop, { once: true });
      this.#port.write(Buffer.from(bytes), (error) => {
        until.removeEventListener('abort', stop);
        if (!error) resolve();
        else reject(until.aborted ? (until.reason as Error) : ttyGone(this.label, error));
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(consoleReleased(this.label), 'released');
    await this.#closed;
  }

  #end(error: Error, how: 'gone' | 'released' = 'gone'): void {
    this.#ended.abort(error);
    this.#queue.end(how === 'gone' ? error : undefined);
    if (this.#port.isOpen) this.#port.close(() => {});
  }
}

/** Its messages carry the C library's text of the reason, not the code. */
function withCode(error: unknown): unknown {
  const text = error instanceof Error ? error.message : '';
  const codes: readonly [string, string][] = [
    ['No such file or directory', 'ENOENT'],
    ['Permission denied', 'EACCES'],
    ['Device or resource busy', 'EBUSY'],
    ['Inappropriate ioctl', 'ENOTTY'],
    ['Input/output error', 'EIO'],
  ];
  const code = codes.find(([sentence]) => text.includes(sentence))?.[1];
  return code === undefined ? error : Object.assign(new Error(text, { cause: error }), { code });
}
