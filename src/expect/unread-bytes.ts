import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { UNREAD_LIMIT_BYTES } from './stream-watch.ts';

/** What one session has read and not used, for the next one on the same console. */
export interface UnreadBytes {
  /** What the last session left, at most 64 KiB. */
  load(): Uint8Array;
  /** Adds what has just been read; false, without having done so, when it is time to {@link replace} all of it. */
  append(chunk: Uint8Array): boolean;
  replace(bytes: Uint8Array): void;
}

/** Without a lease there is nobody to keep it for: the next reader of the tty may be anyone. */
export class NoUnreadBytes implements UnreadBytes {
  load(): Uint8Array {
    return new Uint8Array();
  }

  append(): boolean {
    return true;
  }

  replace(): void {}
}

/**
 * In a file of the lease's folder. Raw bytes in order, so that whatever a killed writer got in is right as far as it
 * goes: reads are appended as they come, everything else takes the file's place in one step. Only who holds the
 * console may use it.
 */
export class UnreadFile implements UnreadBytes {
  readonly #path: string;
  #sizeBytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  load(): Uint8Array {
    try {
      const bytes = readFileSync(this.#path);
      this.#sizeBytes = bytes.length;
      return bytes.subarray(Math.max(0, bytes.length - UNREAD_LIMIT_BYTES));
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return new Uint8Array();
      throw this.#failed(error);
    }
  }

  append(chunk: Uint8Array): boolean {
    if (this.#sizeBytes + chunk.length > 2 * UNREAD_LIMIT_BYTES) return false;
    try {
      appendFileSync(this.#path, chunk);
    } catch (error) {
      throw this.#failed(error);
    }
    this.#sizeBytes += chunk.length;
    return true;
  }

  replace(bytes: Uint8Array): void {
    if (bytes.length === 0 && this.#sizeBytes === 0) return;
    const scratch = `${this.#path}.new`;
    try {
      writeFileSync(scratch, bytes);
      renameSync(scratch, this.#path);
    } catch (error) {
      throw this.#failed(error);
    }
    this.#sizeBytes = bytes.length;
  }

  #failed(error: unknown): RigError {
    return new RigError(
      'unavailable',
      `${this.#path}: cannot keep the console's unread bytes: ${reasonOf(error)}; has the lease ended?`,
      { cause: error },
    );
  }
}
