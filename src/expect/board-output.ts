import type { Console } from '../tty/console.ts';
import type { ByteAccount } from './byte-account.ts';
import type { Clock } from './clock.ts';
import { QuietTimer } from './quiet-timer.ts';
import type { StreamWatch, Unread, WatchEvent } from './stream-watch.ts';
import { Transcript } from './transcript.ts';
import type { UnreadBytes } from './unread-bytes.ts';
import { untilDone } from './until-done.ts';

/** A fresh step takes everything that the kernel may hold: at most this. Source: TTYB_DEFAULT_MEM_LIMIT, 640 KiB. */
const FRESH_LIMIT_BYTES = 1024 * 1024;

/** A board that never pauses: by then all that had arrived before has long been read. */
const FRESH_LIMIT_MS = 500;

/** What it is given; it opens nothing itself. */
export interface OutputParts {
  readonly console: Console;
  readonly watch: StreamWatch;
  /** Kept from the last one that read this console, and for the next one. */
  readonly unread: UnreadBytes;
  readonly clock: Clock;
  /** Called with each chunk as it arrives, whoever is to have it. */
  readonly onBytes: (chunk: Uint8Array) => void;
  /** Called with what the patterns look at, just before {@link onEvent} tells what that decides. */
  readonly onLooked?: (chunk: Uint8Array) => void;
  /** Called when a fresh step has let go of all that was there: what comes now is fresh. */
  readonly onFresh?: () => void;
  /** What the board's bytes, or its silence, have decided. */
  readonly onEvent: (event: WatchEvent) => void;
  /** Nothing more is read, as the tty is gone or what was read cannot be kept. */
  readonly onFailure: (error: unknown) => void;
  /** Called when nothing has come for 50 ms, also where that decides nothing. */
  readonly onQuiet?: (() => void) | undefined;
}

/** Somebody who takes what arrives in place of the patterns. */
export interface Taker {
  /** Text is part of the tail in messages. */
  readonly takes: 'text' | 'a file';
  /** Nothing more is read before it resolves. */
  readonly take: (chunk: Uint8Array) => Promise<void> | undefined;
  /** Called once, when its turn is over: what of it is for whoever comes next, and the byte before that, if it was its own. */
  readonly letGo: () => Unread;
}

/**
 * What one board says, from the tty on: each chunk is kept for the next reader first, then shown to the patterns; or
 * let go of, by a fresh step; or handed over to somebody else who takes it.
 */
export class BoardOutput {
  readonly transcript = new Transcript();
  readonly #parts: OutputParts;
  readonly #quiet: QuietTimer;
  #reading: Promise<void> = Promise.resolve();
  #bytesRead = 0;
  #lastMs: number | undefined;
  #isOver = false;
  #discarding: { sizeBytes: number; readonly done: () => void } | undefined;
  #taker: Taker | undefined;
  /** The byte before the first one that the taker was given. */
  #beforeTaker: number | undefined;
  /** What has arrived since its turn began. */
  #takenBytes = 0;

  constructor(parts: OutputParts) {
    this.#parts = parts;
    this.#quiet = new QuietTimer(parts.clock, () => this.#onQuiet());
  }

  get account(): Omit<ByteAccount, 'logGapBytes'> {
    const { console, watch } = this.#parts;
    return { bytesRead: this.#bytesRead, overruns: console.overruns, droppedBytes: watch.droppedBytes };
  }

  /** When the last byte came, by the clock. */
  get lastMs(): number | undefined {
    return this.#lastMs;
  }

  get isDiscarding(): boolean {
    return this.#discarding !== undefined;
  }

  get isHandedOver(): boolean {
    return this.#taker !== undefined;
  }

  /** Begins with what the last reader has left. @throws {RigError} when that cannot be read */
  begin(): void {
    const { unread, watch, onLooked } = this.#parts;
    const early = unread.load();
    this.transcript.push(early.bytes);
    watch.goOnFrom(early);
    if (early.bytes.length > 0) onLooked?.(early.bytes);
    this.#reading = this.#read();
  }

  /** Has the watch look anew: what had arrived before may be all that comes. */
  look(at: () => WatchEvent | undefined): void {
    this.#handle(at());
    if (this.#parts.watch.caresForQuiet) this.#quiet.restart();
  }

  /** Nobody waits for quiet any more, unless it is told to the end. */
  endWait(): void {
    if (!this.#tellsQuiet) this.#quiet.stop();
  }

  /**
   * Lets go of all that has arrived by now: it can no longer match. `step` is what did so, for messages.
   *
   * @throws the reason of `over`
   */
  async fresh(step: string, passCounts: 'from now on' | 'not yet', over: AbortSignal): Promise<void> {
    const { clock, watch } = this.#parts;
    watch.discard();
    this.#keepUnread();
    const limit = clock.after(FRESH_LIMIT_MS, () =>
      clock.onceRead(() => {
        if (this.#discarding) this.#onQuiet();
      }),
    );
    try {
      await untilDone<void>(over, (done) => {
        this.#discarding = { sizeBytes: 0, done };
        this.#quiet.restart();
      });
    } finally {
      limit.cancel();
      this.endWait();
      this.#discarding = undefined;
    }
    this.#keepUnread();
    this.transcript.markFresh(step);
    this.#parts.onFresh?.();
    watch.releaseFresh(passCounts);
  }

  /**
   * What arrives goes to `taker`, beginning with what no pattern has used. Returns what ends its turn, which also ends
   * when the console is released.
   */
  handOver(taker: Taker): () => void {
    const { bytes, before } = this.#parts.watch.handOver();
    this.#keepUnread();
    this.#taker = taker;
    this.#beforeTaker = before;
    this.#takenBytes = 0;
    if (bytes.length > 0) void taker.take(bytes); // more than it wants at a time: then the next is held up
    return () => {
      if (this.#taker === taker) this.#takeBack(taker);
    };
  }

  /** The verdict is told: whatever else arrives is only kept. */
  end(): void {
    this.#isOver = true;
    this.#quiet.stop();
    this.#parts.watch.end();
  }

  /** Ends it, releases the console, and leaves what no pattern has used for the next reader. */
  async release(): Promise<void> {
    this.end();
    if (this.#taker) this.#takeBack(this.#taker); // which lets the reading go on, where that was held up
    await this.#parts.console[Symbol.asyncDispose]();
    await this.#reading; // what was read until then is for the next one, too
    this.#keepUnread();
  }

  async #read(): Promise<void> {
    const { console, clock, onBytes, onFailure } = this.#parts;
    try {
      for await (const chunk of console.bytes) {
        this.#bytesRead += chunk.length;
        this.#lastMs = clock.nowMs;
        onBytes(chunk);
        if (this.#taker?.takes !== 'a file') this.transcript.push(chunk);
        if (this.#taker) {
          this.#takenBytes += chunk.length;
          const heldUp = this.#taker.take(chunk);
          if (heldUp) await heldUp;
        } else this.#take(chunk);
      }
    } catch (error) {
      onFailure(error);
    }
  }

  #takeBack(taker: Taker): void {
    this.#taker = undefined;
    const { bytes, before } = taker.letGo();
    this.#parts.watch.takeBack(before ?? this.#beforeTaker);
    // What had come before its turn has been shown and looked at.
    const added = bytes.subarray(Math.max(0, bytes.length - this.#takenBytes));
    if (taker.takes === 'a file') this.transcript.push(added);
    this.#take(bytes, added);
  }

  #take(chunk: Uint8Array, added = chunk): void {
    if (chunk.length === 0) return;
    const { unread, watch, onLooked } = this.#parts;
    // First, as the kernel has it no more, and this process may be killed at any time.
    const isKept = this.#discarding !== undefined || unread.append(chunk);
    const event = watch.push(chunk);
    if (this.#discarding) this.#discard(this.#discarding, chunk);
    else if (!this.#isOver && added.length > 0) onLooked?.(added);
    this.#handle(event);
    if (!isKept) this.#keepUnread();
    if (this.#discarding || watch.caresForQuiet || this.#tellsQuiet) this.#quiet.restart();
  }

  #discard(discarding: { sizeBytes: number; readonly done: () => void }, chunk: Uint8Array): void {
    discarding.sizeBytes += chunk.length;
    if (discarding.sizeBytes >= FRESH_LIMIT_BYTES) discarding.done();
  }

  get #tellsQuiet(): boolean {
    return this.#parts.onQuiet !== undefined && !this.#isOver;
  }

  #onQuiet(): void {
    const { watch, onQuiet, onFailure } = this.#parts;
    try {
      onQuiet?.();
      if (this.#discarding) this.#discarding.done();
      else this.#handle(watch.quiet());
    } catch (error) {
      onFailure(error);
    }
  }

  #handle(event: WatchEvent | undefined): void {
    if (!event) return;
    this.#keepUnread();
    this.#parts.onEvent(event);
  }

  #keepUnread(): void {
    this.#parts.unread.replace(this.#parts.watch.unread);
  }
}
