/** One console that a program talks over: the same matching as a script's, a call at a time. */

import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import type { Console, DrivenLines } from '../tty/console.ts';
import { pause, REAL_CLOCK } from './clock.ts';
import type { CrashPattern } from './crash.ts';
import type { RunJig } from './jig-step.ts';
import { QuietTimer } from './quiet-timer.ts';
import type { ArmedPattern } from './script.ts';
import { type Matched, StreamWatch, type WatchEvent } from './stream-watch.ts';
import { Transcript } from './transcript.ts';
import type { UnreadBytes } from './unread-bytes.ts';
import { describeCrash, ExpectationError } from './verdict.ts';

const TAIL_LINES = 5;

/** A board that never pauses: by then all that had arrived before has long been read. */
const FRESH_LIMIT_MS = 500;

/** What it is given; it opens nothing itself. */
export interface BoardConsoleParts {
  readonly console: Console;
  readonly unread: UnreadBytes;
  readonly pass: readonly ArmedPattern[];
  readonly fail: readonly ArmedPattern[];
  readonly crash: readonly CrashPattern[];
  readonly escapeSequences: 'seen' | 'ignored';
  readonly runJig: RunJig;
  /** Called with each chunk as it arrives. */
  readonly onBytes: (chunk: Uint8Array) => void;
}

/** How long a wait may last. */
export interface Limits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Something that somebody waits for. */
interface Wait {
  /** As messages name it. */
  readonly shown: string;
  readonly take: (event: WatchEvent) => void;
  readonly fail: (error: unknown) => void;
}

type Ending = ({ readonly kind: 'pass' | 'fail' } & Matched) | (WatchEvent & { readonly kind: 'crash' });

export class BoardConsole implements AsyncDisposable {
  readonly #parts: BoardConsoleParts;
  readonly #watch: StreamWatch;
  readonly #transcript = new Transcript();
  readonly #quiet = new QuietTimer(REAL_CLOCK, () => this.#onQuiet());
  readonly #ended = new AbortController();
  readonly #reading: Promise<void>;
  #wait: Wait | undefined;
  /** An armed text that has come; it counts until the next fresh start. */
  #ending: Ending | undefined;
  #discarding: (() => void) | undefined;
  /** Takes what arrives in place of the patterns. */
  #taker: ((chunk: Uint8Array) => void) | undefined;
  #disposing: Promise<void> | undefined;

  constructor(parts: BoardConsoleParts) {
    this.#parts = parts;
    const patterns = (armed: readonly ArmedPattern[]) => armed.map(({ pattern }) => pattern);
    this.#watch = new StreamWatch(
      { pass: patterns(parts.pass), fail: patterns(parts.fail), crash: parts.crash },
      { escapeSequences: parts.escapeSequences },
    );
    const early = parts.unread.load();
    this.#transcript.push(early.bytes);
    this.#watch.goOnFrom(early);
    this.#reading = this.#read();
    this.#look(() => this.#watch.idle());
  }

  get label(): string {
    return this.#parts.console.label;
  }

  async send(bytes: Uint8Array): Promise<void> {
    this.#throwIfEnded();
    await this.#parts.console.send(bytes, this.#ended.signal);
  }

  /** The first of them to match, from where the last match ended. @throws {ExpectationError} */
  async expect(choice: readonly ArmedPattern[], limits: Limits): Promise<Matched> {
    this.#throwIfBusy();
    const shown = choice.map((each) => each.shown).join(' or ');
    return await this.#waiting(shown, limits, (resolve) => ({
      begin: () => this.#watch.expect(...choice.map(({ pattern }) => pattern)),
      take: (event) => {
        if (event.kind === 'step') resolve(event);
        else throw this.#endedBy(event);
      },
    }));
  }

  /** The pass text, once it comes; at once where it has come already. @throws {ExpectationError} */
  async verdict(limits: Limits): Promise<Matched> {
    const { pass } = this.#parts;
    if (pass.length === 0) throw new RigError('usage', `${this.label}: expected a pass text, none is armed`);
    if (this.#ending?.kind === 'pass') return this.#ending;
    this.#throwIfBusy();
    const shown = pass.map((each) => each.shown).join(' or ');
    return await this.#waiting(shown, limits, (resolve) => ({
      begin: () => this.#watch.finish(),
      take: (event) => {
        if (event.kind === 'pass') resolve(event);
        else throw this.#endedBy(event);
      },
    }));
  }

  /** What had arrived by now can no longer match, and no longer counts as a verdict. */
  async fresh(): Promise<void> {
    this.#throwIfBusy();
    this.#throwIfEnded();
    this.#watch.discard();
    let limit: NodeJS.Timeout | undefined;
    using ended = new LinkedSignal([this.#ended.signal]);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#discarding = resolve;
        limit = setTimeout(resolve, FRESH_LIMIT_MS);
        ended.signal.addEventListener('abort', () => reject(ended.signal.reason as Error), { once: true });
        this.#quiet.restart();
      });
    } finally {
      clearTimeout(limit);
      this.#discarding = undefined;
      this.#quiet.stop();
    }
    this.#ending = undefined;
    this.#parts.unread.replace(this.#watch.unread);
    this.#watch.releaseFresh('from now on');
    this.#look(() => this.#watch.idle());
  }

  async pause(pauseMs: number): Promise<void> {
    await pause(REAL_CLOCK, pauseMs, this.#ended.signal);
  }

  async sendBreak(breakMs: number): Promise<void> {
    await this.fresh();
    await this.#parts.console.sendBreak(breakMs, this.#ended.signal);
  }

  async drive(lines: DrivenLines): Promise<void> {
    await this.fresh();
    this.#parts.console.drive(lines);
  }

  async jig(sequence: string): Promise<void> {
    await this.fresh();
    await this.#parts.runJig(sequence, this.#ended.signal);
  }

  /** Hands over what arrives, beginning with what no pattern has used, until disposed with what is given back. */
  takeOver(take: (chunk: Uint8Array) => void): { giveBack(rest: Uint8Array): void } {
    this.#throwIfBusy();
    this.#throwIfEnded();
    const early = Uint8Array.from(this.#watch.unread.bytes);
    this.#watch.useUp(Number.POSITIVE_INFINITY);
    this.#parts.unread.replace(this.#watch.unread);
    this.#taker = take;
    if (early.length > 0) take(early);
    return {
      giveBack: (rest) => {
        this.#taker = undefined;
        this.#take(rest);
      },
    };
  }

  /** What arrives is waited for by `begin`; every end of the console ends the wait. @throws {ExpectationError} */
  async untilTaken<T>(
    shown: string,
    limits: Limits,
    begin: (resolve: (value: T) => void) => void,
  ): Promise<T> {
    return await this.#waiting<T>(shown, limits, (resolve) => ({
      begin: () => {
        begin(resolve);
        return undefined;
      },
      take: (event) => {
        throw this.#endedBy(event);
      },
    }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose();
    return this.#disposing;
  }

  async #dispose(): Promise<void> {
    const released = new Error(`${this.label}: this console has been released`);
    if (!this.#ended.signal.aborted) this.#ended.abort(released);
    this.#wait?.fail(this.#ended.signal.reason);
    this.#quiet.stop();
    this.#watch.end();
    await this.#parts.console[Symbol.asyncDispose]();
    await this.#reading; // what is read until then is for the next one
    this.#parts.unread.replace(this.#watch.unread);
  }

  async #waiting<T>(
    shown: string,
    { timeoutMs, signal }: Limits,
    prepare: (resolve: (value: T) => void) => Pick<Wait, 'take'> & { begin: () => WatchEvent | undefined },
  ): Promise<T> {
    if (this.#wait) this.#throwIfBusy();
    this.#throwIfEnded();
    signal?.throwIfAborted();
    if (this.#ending) throw this.#endedBy(this.#ending, shown);
    using stop = new LinkedSignal(signal ? [signal] : []);
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        const { begin, take } = prepare(resolve);
        this.#wait = { shown, take, fail: reject };
        stop.signal.addEventListener('abort', () => reject(stop.signal.reason as Error), { once: true });
        if (Number.isFinite(timeoutMs)) timer = setTimeout(() => reject(this.#late(timeoutMs)), timeoutMs);
        this.#look(begin);
      });
    } finally {
      clearTimeout(timer);
      this.#wait = undefined;
      this.#quiet.stop();
      if (!this.#ended.signal.aborted && !this.#ending && !this.#taker) this.#look(() => this.#watch.idle());
    }
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.#parts.console.bytes) {
        this.#parts.onBytes(chunk);
        if (this.#taker) this.#taker(chunk);
        else this.#take(chunk);
      }
    } catch (error) {
      const failure = error instanceof RigError ? this.#gone(error) : error;
      this.#ended.abort(failure);
      this.#wait?.fail(failure);
    }
  }

  #take(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const isKept = this.#discarding !== undefined || this.#parts.unread.append(chunk);
    this.#transcript.push(chunk);
    this.#handle(this.#watch.push(chunk));
    if (!isKept) this.#parts.unread.replace(this.#watch.unread);
    if (this.#discarding || this.#watch.caresForQuiet) this.#quiet.restart();
  }

  #onQuiet(): void {
    if (this.#discarding) this.#discarding();
    else this.#handle(this.#watch.quiet());
  }

  #look(at: () => WatchEvent | undefined): void {
    this.#handle(at());
    if (this.#watch.caresForQuiet) this.#quiet.restart();
  }

  #handle(event: WatchEvent | undefined): void {
    if (!event) return;
    this.#parts.unread.replace(this.#watch.unread);
    if (isEnding(event)) this.#ending = event;
    try {
      this.#wait?.take(event);
    } catch (error) {
      this.#wait?.fail(error);
    }
  }

  #throwIfBusy(): void {
    if (this.#wait || this.#discarding || this.#taker)
      throw new RigError('usage', `${this.label}: expected one wait at a time, another one is not over`);
  }

  #throwIfEnded(): void {
    this.#ended.signal.throwIfAborted();
  }

  #endedBy(event: WatchEvent, shown = this.#wait?.shown): ExpectationError {
    if (event.kind === 'crash') {
      const crash = { family: event.family, line: event.line, evidence: '' };
      return this.#failure(`${describeCrash(crash)} while waiting for ${shown}`);
    }
    const armed = event.kind === 'pass' ? this.#parts.pass : this.#parts.fail;
    return this.#failure(
      `the board said ${armed[event.index]?.shown}, a ${event.kind} text, while waiting for ${shown}`,
    );
  }

  #late(timeoutMs: number): ExpectationError {
    const crash = this.#watch.crashInUnfinishedLine();
    if (crash) {
      this.#ending = crash.kind === 'crash' ? crash : undefined;
      return this.#endedBy(crash);
    }
    return this.#failure(`expected ${this.#wait?.shown} within ${formatDuration(timeoutMs)}`);
  }

  #gone(error: RigError): ExpectationError {
    const what = error.message.replace(`${this.label}: `, '');
    const waiting = this.#wait ? ` while waiting for ${this.#wait.shown}` : '';
    return new ExpectationError(error.blame, `${this.label}: ${what}${waiting}`, {
      step: this.#wait?.shown,
      tail: this.#transcript.lines(TAIL_LINES),
      cause: error,
    });
  }

  #failure(what: string): ExpectationError {
    return new ExpectationError('verdict', `${this.label}: ${what}`, {
      step: this.#wait?.shown,
      tail: this.#transcript.lines(TAIL_LINES),
    });
  }
}

function isEnding(event: WatchEvent): event is Ending {
  return event.kind !== 'step';
}
