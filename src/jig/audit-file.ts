import { constants } from 'node:fs';
import { appendFile, rename, stat, truncate } from 'node:fs/promises';
import { errnoCode, reasonOf } from '../base/errors.ts';

/** With the one before it, twice that is all that is ever kept. */
const MAX_BYTES = 1024 * 1024;

/** So many lines wait for a slow disk; what comes then is lost, and counted. */
const MAX_WAITING = 1000;

/** Part of a file that is written at once. */
const LARGEST_WRITE = 0.1;

/** By then a disk that takes anything has taken it. */
const LAST_LINES_MS = 1000;

/** Without a wait for who reads a pipe: the jig could not end before. */
const APPEND =
  constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Who asked for what, and what came of it. */
export interface AuditEntry {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly address: string;
  /** Common name of the client's certificate. */
  readonly certificate: string | undefined;
  /** Which token: the first digits of its SHA-256. */
  readonly token: string | undefined;
  readonly target: string;
  /** The sequence; undefined for an abort. */
  readonly sequence: string | undefined;
  readonly fence: number | undefined;
  readonly status: number;
  /** `done`, or the code of the failure. */
  readonly outcome: string;
  readonly durationMs: number;
}

/** One line of JSON an entry, in a file of bounded size: at its limit it becomes `FILE.1`. Never stops anybody. */
export class AuditFile implements AsyncDisposable {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #say: (text: string) => void;
  readonly #waiting: string[] = [];
  #writing: Promise<void> | undefined;
  /** What the file holds; undefined while nobody has looked. */
  #sizeBytes: number | undefined;
  #lost = 0;
  #isFailing = false;

  constructor(path: string, say: (text: string) => void, maxBytes = MAX_BYTES) {
    this.#path = path;
    this.#say = say;
    this.#maxBytes = maxBytes;
  }

  write(entry: AuditEntry): void {
    if (this.#waiting.length >= MAX_WAITING) this.#lost += 1;
    else this.#waiting.push(`${JSON.stringify(entry)}\n`);
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves once what was written is in the file, or is not going to be. */
  async [Symbol.asyncDispose](): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_LINES_MS);
    });
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#nextLines();
      const lost = this.#lost;
      const gap = lost > 0 ? `${JSON.stringify({ atMs: Date.now(), lost })}\n` : '';
      try {
        await this.#append(gap + lines.join(''));
        this.#lost -= lost; // more may be lost by now
        if (this.#isFailing) this.#say(`${this.#path}: the audit goes on`);
        this.#isFailing = false;
      } catch (error) {
        this.#lost += lines.length;
        if (!this.#isFailing)
          this.#say(`${this.#path}: cannot write the audit: ${reasonOf(error)}; going on without`);
        this.#isFailing = true;
      }
    }
  }

  /** Together they cost one write: a line each would keep a busy jig's lines waiting until they are lost. */
  #nextLines(): string[] {
    let sizeBytes = 0;
    const end = this.#waiting.findIndex((line, index) => {
      sizeBytes += Buffer.byteLength(line);
      return index > 0 && sizeBytes > this.#maxBytes * LARGEST_WRITE;
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  async #append(text: string): Promise<void> {
    const before = this.#sizeBytes ?? (await sizeOf(this.#path));
    this.#sizeBytes = before;
    const bytes = Buffer.byteLength(text);
    if (before > 0 && before + bytes > this.#maxBytes) {
      await rename(this.#path, `${this.#path}.1`);
      this.#sizeBytes = 0;
    }
    try {
      await appendFile(this.#path, text, { mode: 0o640, flag: APPEND });
      this.#sizeBytes += bytes;
    } catch (error) {
      await this.#cutBack();
      throw error;
    }
  }

  /** A full disk may have taken the first half of a line. */
  async #cutBack(): Promise<void> {
    const sizeBytes = this.#sizeBytes;
    this.#sizeBytes = undefined;
    try {
      if (sizeBytes !== undefined && (await sizeOf(this.#path)) > sizeBytes)
        await truncate(this.#path, sizeBytes);
    } catch {
      return; // that there is a failure is being told
    }
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
