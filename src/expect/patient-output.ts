import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { errnoCode, reasonOf } from '../base/errors.ts';
import { isWritable, WRITABLE_BYTES } from '../native/poll.ts';
import { sendNow } from '../native/socket-send.ts';
import { ByteBacklog } from './byte-backlog.ts';

/** What a slow reader may be behind; what comes after is lost. A minute and a half of a board at 115200 baud. */
const BACKLOG_LIMIT_BYTES = 1024 * 1024;

/** At the end, a reader has this long for what is left. */
const READER_GRACE_MS = 1000;

/** No event tells when a descriptor that others share, and that must stay blocking for them, has room. */
const RETRY_MS = 5;

/**
 * Writes to stdout or stderr, whose reader may be slow or have stopped for ever (a pager, a terminal after Ctrl-S):
 * neither the reading of a board nor its verdict waits for it.
 */
export class PatientOutput implements AsyncDisposable {
  readonly #fd: number;
  readonly #isOurs: boolean;
  readonly #write: (fd: number, bytes: Uint8Array) => number;
  readonly #onLoss: (lostBytes: number, why: string) => void;
  readonly #backlog = new ByteBacklog();
  /** Offset of the first byte that is still to be written. */
  #position = 0;
  #lostBytes = 0;
  #retry: NodeJS.Timeout | undefined;
  #hasReader = true;
  /** Why it takes no more: a file whose disk is full. */
  #refusal: string | undefined;

  /** `onLoss` is told at the end, when a living reader, or a file, has not taken everything. */
  constructor(fd: number, onLoss: (lostBytes: number, why: string) => void) {
    const kind = fstatSync(fd);
    const own = kind.isFIFO() || isatty(fd) ? openAnew(fd) : undefined;
    this.#fd = own ?? fd;
    this.#isOurs = own !== undefined;
    this.#write = kind.isSocket() ? sendNow : writeSync;
    this.#onLoss = onLoss;
  }

  /** Never waits. */
  write(chunk: Uint8Array): void {
    if (!this.#hasReader) return;
    const room = this.#refusal === undefined ? BACKLOG_LIMIT_BYTES - this.#pendingBytes : 0;
    this.#backlog.append(chunk.subarray(0, room));
    this.#lostBytes += Math.max(0, chunk.length - room);
    if (!this.#retry) this.#flush();
  }

  /** Waits, for at most a second, until everything is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#pendingBytes > 0) await this.#drain();
    clearTimeout(this.#retry);
    if (this.#isOurs) closeSync(this.#fd);
    const lostBytes = this.#lostBytes + this.#pendingBytes;
    if (lostBytes > 0) this.#onLoss(lostBytes, this.#refusal ?? 'it is not read');
  }

  async #drain(): Promise<void> {
    const giveUpMs = performance.now() + READER_GRACE_MS;
    while (this.#pendingBytes > 0 && performance.now() < giveUpMs) await sleep(RETRY_MS);
  }

  get #pendingBytes(): number {
    return this.#hasReader ? this.#backlog.end - this.#position : 0;
  }

  #flush(): void {
    this.#retry = undefined;
    try {
      while (this.#pendingBytes > 0 && isWritable(this.#fd)) {
        const next = this.#backlog.view(this.#position, this.#position + WRITABLE_BYTES);
        this.#position += this.#write(this.#fd, next);
      }
    } catch (error) {
      if (errnoCode(error) === 'EPIPE' || errnoCode(error) === 'EIO') this.#hasReader = false;
      else if (errnoCode(error) !== 'EAGAIN') this.#giveUp(error);
    }
    this.#backlog.forgetBefore(this.#position);
    if (this.#pendingBytes > 0) this.#retry = setTimeout(() => this.#flush(), RETRY_MS);
  }

  /** What is shown is beside the point of a run: no reason to end it. */
  #giveUp(error: unknown): void {
    this.#refusal = reasonOf(error);
    this.#lostBytes += this.#pendingBytes;
    this.#position = this.#backlog.end;
  }
}

/**
 * A terminal may take less than it was asked to, and the room in a pipe may go to another writer of it; the write then
 * blocks: not so on a description of our own.
 */
function openAnew(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch {
    return undefined; // not ours to open, under su for instance: then it blocks like any other program's
  }
}
