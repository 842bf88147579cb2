/** Writes one channel to its two files: every byte in order, and never a wait that a board would feel. */

import { closeSync, constants, openSync, write } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { channelName, type Direction, type LogRecord } from '../wire/log.ts';
import { ByteBatch } from './byte-batch.ts';
import { appendRecord, fileHeader, plainFileName, stampedFileName } from './log-format.ts';
import { type LogArrival, type LogSink, timeNow } from './sink.ts';

/** Past this, programs are asked to wait for the disk. */
const PENDING_LIMIT_BYTES = 1024 * 1024;

/** Nothing tells when a full disk has room again. */
const RETRY_MS = 250;

const writeAsync = promisify(write);

export interface LogTotals {
  /** That came in. */
  readonly bytes: number;
  /** That were sent to the board: in the stamped file alone. */
  readonly sentBytes: number;
  readonly gaps: number;
  readonly lostBytes: number;
}

export interface ChannelLogOptions {
  readonly folder: string;
  readonly channel: number;
  /** Each record, as it is taken; its bytes are good during the call only. */
  readonly onRecord: (record: LogRecord) => void;
  /** The files cannot be written for now. Told once until it works again. */
  readonly onTrouble: (error: unknown) => void;
}

/**
 * Opens its files with the first record. While the disk refuses, pending bytes are kept and later ones counted, so that
 * nothing waits for it; once it takes bytes again, the count is written as a gap.
 */
export class ChannelLog implements LogSink {
  readonly name: string;
  readonly #options: ChannelLogOptions;
  readonly #stampedFile: AppendedFile;
  readonly #plainFile: AppendedFile;
  readonly #stamped = new ByteBatch();
  readonly #plain = new ByteBatch();
  readonly #closing = new AbortController();
  readonly #waiting: (() => void)[] = [];
  readonly #uncounted: Record<Direction, number> = { in: 0, out: 0 };
  #writing: Promise<void> | undefined;
  #inTrouble = false;
  #gaveUp = false;
  #sequence = 0;
  readonly #bytes: Record<Direction, number> = { in: 0, out: 0 };
  #gaps = 0;
  #lostBytes = 0;

  constructor(options: ChannelLogOptions) {
    this.#options = options;
    this.name = channelName(options.channel);
    this.#stampedFile = new AppendedFile(join(options.folder, stampedFileName(this.name)));
    this.#plainFile = new AppendedFile(join(options.folder, plainFileName(this.name)));
    this.#stamped.append(Buffer.from(fileHeader(options.channel, this.name)));
  }

  /** What has come so far. `lostBytes` counts those that writers or this log could not keep. */
  get totals(): LogTotals {
    const { in: bytes, out: sentBytes } = this.#bytes;
    return { bytes, sentBytes, gaps: this.#gaps, lostBytes: this.#lostBytes };
  }

  /** Whether anything that came in never got to the disk, not even as a gap. Known once closed. */
  get isIncomplete(): boolean {
    return this.#gaveUp;
  }

  /** Dropped, and not told as a gap in the file. */
  get uncountedBytes(): number {
    return this.#uncounted.in + this.#uncounted.out;
  }

  append(arrival: LogArrival): 'go on' | 'wait' {
    if (this.#gaveUp || (this.#inTrouble && this.#isFull())) {
      this.#drop(arrival);
      return 'go on';
    }
    this.#tellDropped();
    this.#record(arrival);
    return this.#isFull() && !this.#inTrouble ? 'wait' : 'go on';
  }

  async drained(): Promise<void> {
    if (this.#inTrouble || !this.#isFull()) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when everything is in the files, or cannot be. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writing;
    this.#stampedFile.close();
    this.#plainFile.close();
  }

  #isFull(): boolean {
    return this.#stamped.length > PENDING_LIMIT_BYTES;
  }

  #record(arrival: LogArrival): void {
    const record: LogRecord = { ...arrival, channel: this.#options.channel, sequence: this.#sequence++ };
    appendRecord(this.#stamped, record);
    if (record.kind === 'gap') {
      this.#gaps++;
      this.#lostBytes += record.lostBytes;
    } else {
      this.#bytes[record.direction] += record.bytes.length;
      if (record.direction === 'in') this.#plain.append(record.bytes);
    }
    this.#options.onRecord(record);
    this.#writing ??= this.#write();
  }

  #drop(arrival: LogArrival): void {
    const bytes = arrival.kind === 'gap' ? arrival.lostBytes : arrival.bytes.length;
    // A writer can claim any number; a sum beyond this would be no record.
    this.#uncounted[arrival.direction] = Math.min(
      this.#uncounted[arrival.direction] + bytes,
      Number.MAX_SAFE_INTEGER,
    );
  }

  #tellDropped(): void {
    if (this.#gaveUp) return;
    for (const direction of ['in', 'out'] as const) {
      const lostBytes = this.#uncounted[direction];
      if (lostBytes === 0) continue;
      this.#uncounted[direction] = 0;
      this.#record({ kind: 'gap', direction, lostBytes, writer: 0, ...timeNow() });
    }
  }

  async #write(): Promise<void> {
    try {
      while (this.#stamped.length > 0) {
        const writes = [
          this.#persist(this.#stampedFile, this.#stamped.take()),
          this.#persist(this.#plainFile, this.#plain.take()),
        ];
        await Promise.allSettled(writes);
        await Promise.all(writes);
        this.#inTrouble = false;
        this.#tellDropped(); // as early as can be, should this process be killed
        this.#wake();
      }
    } catch {
      this.#gaveUp = true; // told as trouble already; the summary tells what is missing
    } finally {
      this.#writing = undefined;
    }
  }

  async #persist(file: AppendedFile, bytes: Buffer): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const isLastTry = this.#closing.signal.aborted;
      try {
        rest = rest.subarray(await file.append(rest));
      } catch (error) {
        this.#enterTrouble(error);
        if (isLastTry) throw error;
        await sleep(RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
      }
    }
  }

  #enterTrouble(error: unknown): void {
    if (this.#inTrouble) return;
    this.#inTrouble = true;
    this.#options.onTrouble(error);
    this.#wake();
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

/** A file that is made at its first write and only ever grows. */
class AppendedFile {
  readonly #path: string;
  #fd: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** How many of `bytes` the kernel took, at least one. */
  async append(bytes: Buffer): Promise<number> {
    this.#fd ??= openSync(
      this.#path,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL,
      0o644,
    );
    const { bytesWritten } = await writeAsync(this.#fd, bytes);
    return bytesWritten;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
