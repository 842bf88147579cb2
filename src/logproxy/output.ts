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
  readonly #waiting: (() => void)[] = [];
  #writing: Promise<void> | undefined;
  #isGone = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get isBehind(): boolean {
    return this.#pending.length > PENDING_LIMIT_BYTES;
  }

  write(bytes: Uint8Array): void {
    if (this.#isGone) return;
    this.#pending.append(bytes);
    this.#writing ??= this.#write();
  }

  /** Resolves when it is behind no more. */
  async drained(): Promise<void> {
    if (this.isBehind) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when all of it is written, or nobody reads any more. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      await this.#writeAll(this.#pending.take());
      for (const resume of this.#waiting.splice(0)) resume();
    }
    this.#writing = undefined;
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
}
