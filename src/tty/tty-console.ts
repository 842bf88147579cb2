/** The default driver: our own termios, and one duplex `tty.ReadStream`, asynchronous both ways. */

import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import type { ConnectOpts, SocketConstructorOpts } from 'node:net';
import { ReadStream } from 'node:tty';
import { RigError } from '../base/errors.ts';
import { makeRaw, readTtySettings } from '../native/termios.ts';
import { ChunkQueue } from './chunk-queue.ts';
import type { Console, ConsoleOptions, DrivenLines } from './console.ts';
import { checkTaken, driveLines, sendBreak } from './line-control.ts';
import { Overruns } from './overruns.ts';
import { consoleReleased, ttyGone, ttyRefused } from './tty-errors.ts';
import { writeInPieces } from './write-in-pieces.ts';

/** The kernel hands out at most 4 kB of a tty a read. Source: N_TTY_BUF_SIZE in the kernel's n_tty.c. */
const READ_BYTES = 4096;

/** O_APPEND means nothing to a tty; it tells our open file description from the one libuv makes of it. */
export const TTY_OPEN_FLAGS =
  constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | constants.O_APPEND;

/**
 * Opens a tty without waiting for carrier and without flushing: what the board said before is read first.
 *
 * Holds no lock and takes none away: the lock of a lease lives on a descriptor of its own.
 *
 * @throws {RigError} blame `hardware` when it is missing, refused or not a tty
 */
export async function openTtyConsole(path: string, options: ConsoleOptions): Promise<Console> {
  let fd: number | undefined;
  try {
    fd = openSync(path, TTY_OPEN_FLAGS);
    const hangUpOnClose = options.hangUpOnClose === 'keep' && readTtySettings(fd).hangUpOnClose;
    // Before the stream: libuv opens the tty anew, and would wait for carrier without CLOCAL.
    makeRaw(fd, { ...options, hangUpOnClose });
    checkTaken(fd, options);
    return new TtyConsole(fd, options.label);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw error instanceof RigError ? error : ttyRefused(options.label, error);
  }
}

/**
 * A console over a raw tty that was opened with {@link TTY_OPEN_FLAGS}. Owns `fd`, which must hold no lock: libuv may
 * replace what is behind it.
 */
export class TtyConsole implements Console {
  readonly label: string;
  readonly #fd: number;
  readonly #stream: ReadStream;
  readonly #queue = new ChunkQueue(() => this.#stream.resume());
  readonly #overruns: Overruns;
  readonly #ended = new AbortController();
  readonly #closed: Promise<void>;
  /** libuv could not open the tty anew: its writes would spin until the DUT reads, so it must not write. */
  readonly #writesItself: boolean;

  constructor(fd: number, label: string) {
    if (!isMarked(fd)) throw new Error(`${label}: expected a descriptor opened with TTY_OPEN_FLAGS`);
    this.label = label;
    this.#fd = fd;
    this.#overruns = new Overruns(fd);
    // The constructor hands every option to net.Socket; its types know the half of them.
    const options: SocketConstructorOpts & ConnectOpts = {
      writable: true,
      onread: {
        buffer: new Uint8Array(READ_BYTES),
        callback: (sizeBytes, buffer) => {
          this.#overruns.look();
          return this.#queue.push(buffer.slice(0, sizeBytes));
        },
      },
    };
    this.#stream = new ReadStream(fd, options);
    this.#writesItself = isMarked(fd);
    this.#closed = new Promise((resolve) => {
      this.#stream.once('close', () => {
        // libuv reads from a descriptor of its own then, and leaves ours as a copy of it that nobody would close.
        if (!this.#writesItself) closeSync(fd);
        resolve();
      });
    });
    this.#stream.on('error', (error) => this.#end(ttyGone(label, error)));
    this.#stream.on('end', () => this.#end(ttyGone(label)));
    this.#stream.on('close', () => this.#end(ttyGone(label)));
    this.#stream.resume();
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
    if (!this.#writesItself) return await this.#writeByStream(bytes, until);
    try {
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
    this.#ended.abort(consoleReleased(this.label));
    this.#queue.end();
    this.#stream.destroy();
    await this.#closed;
  }

  #end(error: Error): void {
    this.#ended.abort(error);
    this.#queue.end(error);
    this.#stream.destroy();
  }

  #writeByStream(bytes: Uint8Array, until: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(until.reason as Error);
      until.addEventListener('abort', stop, { once: true });
      this.#stream.write(bytes, (error) => {
        until.removeEventListener('abort', stop);
        if (!error) resolve();
        else reject(until.aborted ? (until.reason as Error) : ttyGone(this.label, error));
      });
    });
  }
}

/** Whether `fd` still is the open file description that {@link openTtyConsole} made. Source: proc(5), fdinfo. */
function isMarked(fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & constants.O_APPEND) !== 0;
}
