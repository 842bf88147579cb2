/** One console that a program talks over: the same matching as a script's, a call at a time. */

import { formatDuration, LONGEST_MS } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import type { Console, DrivenLines } from '../tty/console.ts';
import { BoardOutput, type Taker } from './board-output.ts';
import { type ByteAccount, lateness, lossOf } from './byte-account.ts';
import { type ClockTimer, pause, REAL_CLOCK } from './clock.ts';
import type { CrashPattern } from './crash.ts';
import type { RunJig } from './jig-step.ts';
import type { Limits } from './limits.ts';
import type { ArmedPattern } from './script.ts';
import { TAIL_LINES } from './session-progress.ts';
import { type Matched, StreamWatch, type WatchEvent } from './stream-watch.ts';
import type { UnreadBytes } from './unread-bytes.ts';
import { describeCrash, ExpectationError } from './verdict.ts';

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
  /** Bytes that the log of the console lacks, so far. */
  readonly logGapBytes: () => number;
  /** Bytes that no pattern has seen; told in the end, whatever has come of them. */
  readonly onLoss: (loss: RigError) => void;
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
  readonly #output: BoardOutput;
  readonly #ended = new AbortController();
  /** Why the tty is of no use any more. */
  #lost: RigError | undefined;
  #wait: Wait | undefined;
  /** An armed text that has come; it counts until the next fresh start. */
  #ending: Ending | undefined;
  #disposing: Promise<void> | undefined;

  constructor(parts: BoardConsoleParts) {
    this.#parts = parts;
    const patterns = (armed: readonly ArmedPattern[]) => armed.map(({ pattern }) => pattern);
    this.#watch = new StreamWatch(
      { pass: patterns(parts.pass), fail: patterns(parts.fail), crash: parts.crash },
      { escapeSequences: parts.escapeSequences },
    );
    this.#output = new BoardOutput({
      console: parts.console,
      watch: this.#watch,
      unread: parts.unread,
      clock: REAL_CLOCK,
      onBytes: parts.onBytes,
      onFresh: () => {
        this.#ending = undefined;
      },
      onEvent: (event) => this.#take(event),
      onFailure: (error) => this.#onFailure(error),
    });
    this.#output.begin();
    this.#lookOn();
  }

  get label(): string {
    return this.#parts.console.label;
  }

  async send(bytes: Uint8Array, limits: Limits): Promise<void> {
    const shown = `the tty to take ${bytes.length} bytes`;
    await this.#inTime(shown, 'verdict', limits, (until) => this.#parts.console.send(bytes, until));
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
    if (this.#disposing) this.#throwIfEnded();
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
    await this.#fresh('fresh()');
  }

  async pause(pauseMs: number, { signal }: Limits): Promise<void> {
    const limits = { timeoutMs: Number.POSITIVE_INFINITY, signal };
    await this.#inTime('', 'verdict', limits, (until) => pause(REAL_CLOCK, pauseMs, until));
  }

  async sendBreak(breakMs: number, limits: Limits): Promise<void> {
    await this.#fresh('break()');
    const shown = 'the tty to send what it has, and a break';
    await this.#inTime(shown, 'verdict', limits, (until) => this.#parts.console.sendBreak(breakMs, until));
  }

  async drive(lines: DrivenLines): Promise<void> {
    await this.#fresh('drive()');
    this.#parts.console.drive(lines);
  }

  async jig(sequence: string, limits: Limits): Promise<void> {
    const shown = `jig(${JSON.stringify(sequence)})`;
    await this.#fresh(shown);
    await this.#inTime(`${shown} to end`, 'unavailable', limits, async (until) => {
      await this.#parts.runJig(sequence, until);
    });
  }

  /** Hands over what arrives, beginning with what no pattern has used, until it is told to end that. */
  handOver(taker: Taker): () => void {
    this.#throwIfBusy();
    this.#throwIfEnded();
    return this.#output.handOver(taker);
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
    if (!this.#ended.signal.aborted) this.#ended.abort(this.#released());
    this.#wait?.fail(this.#ended.signal.reason);
    await this.#output.release();
    const loss = lossOf(this.label, this.#account);
    if (loss) this.#parts.onLoss(loss);
  }

  /** Something that is done, and not waited for on the console. @throws {ExpectationError} when it takes too long */
  async #inTime(
    shown: string,
    blame: Blame,
    { timeoutMs, signal }: Limits,
    work: (until: AbortSignal) => Promise<void>,
  ): Promise<void> {
    this.#throwIfEnded();
    signal?.throwIfAborted();
    const late = new AbortController();
    const tooLate = (): void =>
      late.abort(this.#failure(blame, `expected ${shown} within ${formatDuration(timeoutMs)}`));
    const timer = Number.isFinite(timeoutMs) ? setTimeout(tooLate, timeoutMs) : undefined;
    using until = new LinkedSignal([this.#ended.signal, late.signal, ...(signal ? [signal] : [])]);
    try {
      await work(until.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async #fresh(step: string): Promise<void> {
    this.#throwIfBusy();
    this.#throwIfEnded();
    await this.#output.fresh(step, 'from now on', this.#ended.signal);
    this.#lookOn();
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
    let timer: ClockTimer | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        const { begin, take } = prepare(resolve);
        this.#wait = { shown, take, fail: reject };
        stop.signal.addEventListener('abort', () => reject(stop.signal.reason as Error), { once: true });
        if (timeoutMs <= LONGEST_MS) timer = REAL_CLOCK.after(timeoutMs, () => reject(this.#late(timeoutMs)));
        this.#output.look(begin);
      });
    } finally {
      timer?.cancel();
      this.#wait = undefined;
      this.#output.endWait();
      if (!this.#ended.signal.aborted && !this.#ending && !this.#output.isHandedOver) this.#lookOn();
    }
  }

  #onFailure(error: unknown): void {
    if (error instanceof RigError) this.#lost = error;
    const failure = this.#lost ? this.#gone(this.#lost) : error;
    this.#ended.abort(failure);
    this.#wait?.fail(failure);
  }

  /** Nobody waits for what comes now: what is armed does. */
  #lookOn(): void {
    this.#output.look(() => this.#watch.idle());
  }

  #take(event: WatchEvent): void {
    if (isEnding(event)) this.#ending = event;
    try {
      this.#wait?.take(event);
    } catch (error) {
      this.#wait?.fail(error);
    }
  }

  #throwIfBusy(): void {
    if (this.#wait || this.#output.isDiscarding || this.#output.isHandedOver)
      throw new RigError('usage', `${this.label}: expected one wait at a time, another one is not over`);
  }

  /** Each call has an error of its own: it tells of that call. */
  #throwIfEnded(): void {
    if (this.#lost) throw this.#gone(this.#lost);
    if (this.#disposing) throw this.#released();
    this.#ended.signal.throwIfAborted();
  }

  #released(): Error {
    return new Error(`${this.label}: this console has been released`);
  }

  #endedBy(event: WatchEvent, shown = this.#wait?.shown): ExpectationError {
    if (event.kind === 'crash') {
      const crash = { family: event.family, line: event.line, evidence: '' };
      return this.#failure('verdict', `${describeCrash(crash)} while waiting for ${shown}`);
    }
    const armed = event.kind === 'pass' ? this.#parts.pass : this.#parts.fail;
    return this.#failure(
      'verdict',
      `the board said ${armed[event.index]?.shown}, a ${event.kind} text, while waiting for ${shown}`,
    );
  }

  #late(timeoutMs: number): ExpectationError {
    const crash = this.#watch.crashInUnfinishedLine();
    if (crash) {
      this.#ending = crash.kind === 'crash' ? crash : undefined;
      return this.#endedBy(crash);
    }
    const tty = this.#parts.console.isAway ? 'away' : 'there';
    const { blame, what } = lateness(
      this.#wait?.shown ?? '',
      ` within ${formatDuration(timeoutMs)}`,
      this.#account,
      tty,
    );
    return this.#failure(blame, what);
  }

  get #account(): ByteAccount {
    return { ...this.#output.account, logGapBytes: this.#parts.logGapBytes() };
  }

  #gone(error: RigError): ExpectationError {
    const what = error.message.replace(`${this.label}: `, '');
    const waiting = this.#wait ? ` while waiting for ${this.#wait.shown}` : '';
    return this.#failure(error.blame, `${what}${waiting}`, error);
  }

  #failure(blame: Blame, what: string, cause?: unknown): ExpectationError {
    return new ExpectationError(blame, `${this.label}: ${what}`, {
      step: this.#wait?.shown,
      tail: this.#output.transcript.tail(TAIL_LINES),
      tailIn: 'the message',
      cause,
    });
  }
}

function isEnding(event: WatchEvent): event is Ending {
  return event.kind !== 'step';
}
