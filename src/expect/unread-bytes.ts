import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { UNREAD_LIMIT_BYTES, type Unread } from './stream-watch.ts';

/** What one session has read and not used, for the next one on the same console. */
export interface UnreadBytes {
  /** What the last session left, at most 64 KiB. */
  load(): Unread;
  /** Adds what has just been read; false, without having done so, when it is time to {@link replace} all of it. */
  append(chunk: Uint8Array): boolean;
  /** Comes last, too: it lets go of the file. */
  replace(unread: Unread): void;
}

const NOTHING: Unread = { bytes: new Uint8Array(), before: undefined };

const NEWLINE = 0x0a;

/**
 * A file that has grown to this is written anew, with what counts of it. That costs as much as twenty appends, most of
 * it for letting go of the old file, and comes so seldom that it does not show.
 */
const FILE_LIMIT_BYTES = 1024 * 1024;

/** Without a lease there is nobody to keep it for: the next reader of the tty may be anyone. */
export class NoUnreadBytes implements UnreadBytes {
  load(): Unread {
    return NOTHING;
  }

  append(): boolean {
    return true;
  }

  replace(): void {}
}

/**
 * In a file of the lease's folder. Raw bytes in order, the first of which is the one before them, so that whatever a
 * killed writer got in is right as far as it goes: reads are appended as they come, everything else takes the file's
 * place in one step. Only who holds the console may use it.
 */
export class UnreadFile implements UnreadBytes {
  readonly #path: string;
  #sizeBytes = 0;
  /** Open between reads: what was read and is not yet written is lost with a process that is killed just then. */
  #fd: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  load(): Unread {
    try {
      const file = readFileSync(this.#path);
      this.#sizeBytes = file.length;
      const from = Math.max(1, file.length - UNREAD_LIMIT_BYTES);
      return { bytes: file.subarray(from), before: file[from - 1] };
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return NOTHING;
      throw this.#failed(error);
    }
  }

  append(chunk: Uint8Array): boolean {
    if (this.#sizeBytes + chunk.length > FILE_LIMIT_BYTES) return false;
    const added = this.#sizeBytes === 0 ? fileOf({ bytes: chunk, before: undefined }) : chunk;
    try {
      this.#fd ??= openSync(this.#path, 'a');
      for (let at = 0; at < added.length; ) at += writeSync(this.#fd, added, at);
    } catch (error) {
      throw this.#failed(error);
    }
    this.#sizeBytes += added.length;
    return true;
  }

  replace(unread: Unread): void {
    if (this.#sizeBytes === 0 && unread.before === undefined && unread.bytes.length === 0) return;
    const scratch = `${this.#path}.new`;
    const file = fileOf(unread);
    try {
      writeFileSync(scratch, file);
      renameSync(scratch, this.#path);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      if (this.#fd !== undefined) closeSync(this.#fd);
      this.#fd = undefined;
    }
    this.#sizeBytes = file.length;
  }

  #failed(error: unknown): RigError {
    return new RigError(
      'unavailable',
      `${this.#path}: cannot keep the console's unread bytes: ${reasonOf(error)}; has the lease ended?`,
      { cause: error },
    );
  }
}

function fileOf({ bytes, before }: Unread): Buffer {
  return Buffer.concat([Buffer.of(before ?? NEWLINE), bytes]);
}
