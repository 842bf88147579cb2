import { write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errnoCode } from '../base/errors.ts';
import { ByteBatch } from './byte-batch.ts';

/** Past this, a source is asked to wait, or its lines are left out. */
const PENDING_LIMIT_BYTES = 1024 * 1024;

/** A parent made the descriptor non-blocking: nothing tells when there is room. */
const RETRY_MS = 5;

const writeAsync = promisify(write);

/**
 * stdout or stderr, written without ever holding up the event loop: a terminal that somebody stopped with ^S must not
 * stop a board from being read. Node's own streams wait for it.
 */
export class Output {
  readonly #fd: number;
  readonly #pending = new ByteBatch();
  /** Who waits for room, and who for the end. */
  readonly #waiting: (() => void)[] = [];
  #isWriting = false;
  /** Nobody reads it any more, or nobody waits for who reads it. */
  #isGone = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get isBehind(): boolean {
    return !this.#isGone && this.#pending.length > PENDING_LIMIT_BYTES;
  }

  /** Given up while a thread is in a write that may never end: then `process.exit` does not end either. */
  get isStuck(): boolean {
    return this.#isGone && this.#isWriting;
  }

  write(bytes: Uint8Array): void {
    if (this.#isGone) return;
    this.#pending.append(bytes);
    if (!this.#isWriting) void this.#write();
  }

  /** Resolves when it is behind no more. */
  async drained(): Promise<void> {
    while (this.isBehind) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when all of it is written, or it was given up. */
  async flush(): Promise<void> {
    while (this.#isWriting && !this.#isGone)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** What is not written yet never will be. */
  giveUp(): void {
    this.#isGone = true;
    this.#wake();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#pending.length > 0 && !this.#isGone) {
      await this.#writeAll(this.#pending.take());
      this.#wake();
    }
    this.#isWriting = false;
    this.#wake();
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    for (let rest = bytes; rest.length > 0 && !this.#isGone; ) {
      try {
        rest = rest.subarray((await writeAsync(this.#fd, rest)).bytesWritten);
      } catch (error) {
        if (errnoCode(error) === 'EAGAIN') await sleep(RETRY_MS);
        else this.#isGone = true; // nobody reads it any more; the log goes on without
      }
    }
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
