/** Sends and takes files by XMODEM and YMODEM, with the programs of the package lrzsz at our end of the console. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, readSync, statSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { openPipe } from '../native/pipe.ts';
import { isWritable, WRITABLE_BYTES } from '../native/poll.ts';
import { bytesWaiting } from '../native/termios.ts';
import { visible } from './text.ts';

/** What is to be transferred: `sx` and `sb` send a file, `rb` takes what comes into a folder. */
export interface Transfer {
  readonly program: 'sx' | 'sb' | 'rb';
  /** Of the file, or the folder. */
  readonly path: string;
}

/** Of lrzsz, by what asks for it: a flag of the command line, or a step of a script. */
export const TRANSFER_PROGRAMS = { ysend: 'sb', xsend: 'sx', yreceive: 'rb' } as const;

/** What a transfer goes through. */
interface TransferPort {
  readonly send: (bytes: Uint8Array, signal?: AbortSignal) => Promise<void>;
  /** Told now and then: `fw.bin: 45 %`. */
  readonly onProgress: (text: string) => void;
}

/** The program wants its bytes one by one, and no event tells that it has taken one. */
const LOOK_EACH_MS = 1;

/** Tells a board to give up: CAN, and backspaces for a shell that takes them for text. Source: the YMODEM reference. */
const CANCEL = Buffer.from('\x18'.repeat(8) + '\b'.repeat(8), 'latin1');

/** A tty that takes nothing any more is not waited for. */
const CANCEL_LIMIT_MS = 1000;

/** Without its frame. Source: the XMODEM reference. */
const SMALLEST_BLOCK_BYTES = 128;

/** What is kept of what the program says. */
const WORDS_LIMIT = 4096;

/**
 * Checks what can be known before anything is sent.
 *
 * @throws {RigError} blame `usage`
 */
export function checkTransfer({ program, path }: Transfer, what: string): void {
  const wanted = program === 'rb' ? 'a folder' : 'a file';
  try {
    const stats = statSync(path);
    if (program === 'rb' ? stats.isDirectory() : stats.isFile()) {
      accessSync(path, program === 'rb' ? constants.W_OK : constants.R_OK);
      return;
    }
  } catch (error) {
    throw new RigError('usage', `${what}: expected ${wanted}, cannot use it: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  throw new RigError('usage', `${what}: expected ${wanted}, found something else`);
}

/** How a transfer ended. */
interface TransferOutcome {
  /** In the program's own words; undefined when all went well. */
  readonly failure: string | undefined;
  /** What the board said that the program did not take. */
  readonly rest: Uint8Array;
}

/** A transfer that has begun. */
interface RunningTransfer {
  /** Bytes from the board, in order. */
  push(chunk: Uint8Array): void;
  /** @throws {RigError} blame `unavailable` where lrzsz is not installed; the reason of `signal` */
  end(signal: AbortSignal): Promise<TransferOutcome>;
}

export type StartTransfer = (transfer: Transfer, port: TransferPort) => RunningTransfer;

export const startTransfer: StartTransfer = (transfer, port) => new FileTransfer(transfer, port);

/** As flags and steps call it: `ysend`. */
export function transferName({ program }: Transfer): string {
  return Object.entries(TRANSFER_PROGRAMS).find(([, each]) => each === program)?.[0] ?? program;
}

/**
 * One transfer. The program gets pipes and not the tty, which it would set and flush as it likes; it is given no more
 * bytes than it takes, so that what the board says after the transfer is left over here.
 */
class FileTransfer implements RunningTransfer {
  readonly #transfer: Transfer;
  readonly #port: TransferPort;
  readonly #child: Running;
  readonly #readFd: number;
  readonly #writeFd: number;
  #waiting = Buffer.alloc(0);
  #feeding: NodeJS.Timeout | undefined;
  #sentBytes = 0;
  #words = '';
  #shown = '';

  constructor(transfer: Transfer, port: TransferPort) {
    this.#transfer = transfer;
    this.#port = port;
    const { readFd, writeFd } = openPipe();
    this.#readFd = readFd;
    this.#writeFd = writeFd;
    this.#child = start(transfer, readFd);
  }

  push(chunk: Uint8Array): void {
    this.#waiting = Buffer.concat([this.#waiting, chunk]);
    if (this.#feeding === undefined) this.#feed();
  }

  async end(signal: AbortSignal): Promise<TransferOutcome> {
    const child = this.#child;
    const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const said = this.#listen();
    const cancel = (): void => void child.kill('SIGKILL');
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const [sent, ended] = await Promise.allSettled([this.#forward(), closed, said]);
      if (ended.status === 'rejected') throw notStarted(this.#transfer.program, ended.reason);
      if (signal.aborted) await this.#cancel();
      signal.throwIfAborted();
      if (sent.status === 'rejected') throw sent.reason;
      const [status, killedBy] = ended.value;
      return { failure: this.#failure(status, killedBy), rest: this.#takeRest() };
    } finally {
      signal.removeEventListener('abort', cancel);
      if (this.#shown !== '') this.#port.onProgress('');
      this.#letGo();
    }
  }

  async #forward(): Promise<void> {
    try {
      for await (const chunk of this.#child.stdout) {
        await this.#port.send(chunk as Buffer);
        this.#sentBytes += (chunk as Buffer).length;
        this.#tellProgress();
      }
    } catch (error) {
      this.#child.kill('SIGKILL'); // nobody takes what it sends
      throw error;
    }
  }

  /** So that the board gives up as well. */
  async #cancel(): Promise<void> {
    try {
      await this.#port.send(CANCEL, AbortSignal.timeout(CANCEL_LIMIT_MS));
    } catch {
      // gone, or stuck: what ended the transfer tells
    }
  }

  async #listen(): Promise<void> {
    for await (const chunk of this.#child.stderr)
      this.#words = `${this.#words}${(chunk as Buffer).toString('latin1')}`.slice(-WORDS_LIMIT);
  }

  /** A receiver is told no size; what a sender frames its blocks with is part of the count, and little of it. */
  #tellProgress(): void {
    const { program, path } = this.#transfer;
    if (program === 'rb') return;
    const sizeBytes = Math.max(1, statSync(path).size);
    const percent = Math.min(100, Math.floor((100 * this.#sentBytes) / sizeBytes));
    const text = `${path}: ${percent} %`;
    if (text !== this.#shown) this.#port.onProgress(text);
    this.#shown = text;
  }

  /** What the program does not take stays in the pipe, and is read back in the end. */
  #feed(): void {
    this.#feeding = undefined;
    // What a sender is answered is single bytes, the last of which the board's next text may follow at once.
    const atOnce = this.#transfer.program === 'rb' ? WRITABLE_BYTES : 1;
    while (this.#waiting.length > 0 && this.#hasRoom()) {
      const size = writeSync(this.#writeFd, this.#waiting, 0, Math.min(atOnce, this.#waiting.length));
      this.#waiting = this.#waiting.subarray(size);
    }
    if (this.#waiting.length > 0) this.#feeding = setTimeout(() => this.#feed(), LOOK_EACH_MS);
  }

  #hasRoom(): boolean {
    return this.#transfer.program === 'rb' ? isWritable(this.#writeFd) : bytesWaiting(this.#readFd) === 0;
  }

  #takeRest(): Uint8Array {
    const left = Buffer.alloc(bytesWaiting(this.#readFd));
    if (left.length > 0) readSync(this.#readFd, left);
    return Buffer.concat([left, this.#waiting]);
  }

  #letGo(): void {
    clearTimeout(this.#feeding);
    closeSync(this.#readFd);
    closeSync(this.#writeFd);
  }

  #failure(status: number | null, killedBy: NodeJS.Signals | null): string | undefined {
    if (status === 0) return undefined;
    const words = this.#words
      .split(/[\r\n]+/)
      .map((line) => visible(Buffer.from(line.replaceAll(/\p{Cc}/gu, ''), 'latin1')).trim())
      .filter((line) => line !== '')
      .slice(-3)
      .join('; ');
    const { program } = this.#transfer;
    // A receiver asks for the first block; until then a sender sends nothing, and a little as it gives up.
    const unasked =
      program !== 'rb' && this.#sentBytes < SMALLEST_BLOCK_BYTES
        ? '; the board has not asked for the file'
        : '';
    return `${program} ended with ${killedBy ?? `status ${status}`}: ${words || 'it said nothing'}${unasked}`;
  }
}

/** A receiver writes over files that are there, as a sender does at a board. */
function start({ program, path }: Transfer, stdin: number): Running {
  // 1 KiB a block, which every YMODEM receiver takes and not every XMODEM one.
  const flags = { rb: ['-b', '-y'], sb: ['-b', '-k'], sx: ['-b'] }[program];
  const [args, cwd] = program === 'rb' ? [flags, path] : [[...flags, resolve(path)], '.'];
  return spawn(program, args, { cwd, stdio: [stdin, 'pipe', 'pipe'] }) as Running; // the types know no descriptors
}

type Running = ChildProcessByStdio<null, Readable, Readable>;

function notStarted(program: string, error: unknown): RigError {
  const why =
    errnoCode(error) === 'ENOENT'
      ? `expected the program ${program}, found none; install it with: apt-get install lrzsz`
      : `${program} cannot be started: ${reasonOf(error)}`;
  return new RigError('unavailable', why, { cause: error });
}
