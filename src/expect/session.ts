import { formatDuration } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';
import type { Console } from '../tty/console.ts';
import type { CrashConfig } from '../wire/crash.ts';
import { type ByteAccount, describeAccount, lossOf, lostBytes } from './byte-account.ts';
import { type Clock, type ClockTimer, pause, REAL_CLOCK } from './clock.ts';
import { crashPatterns, crashWishOf } from './crash.ts';
import { CrashAftermath } from './crash-aftermath.ts';
import { FileTransfer, type Transfer } from './file-transfer.ts';
import type { RunJig } from './jig-step.ts';
import { QuietTimer } from './quiet-timer.ts';
import { beginsAfresh, type Script, type Step } from './script.ts';
import { AT_ONCE, sendText, shownInstead } from './sending.ts';
import { type SessionResults, SessionTests } from './session-tests.ts';
import { StreamWatch, type WatchEvent } from './stream-watch.ts';
import { quoted } from './text.ts';
import { Transcript } from './transcript.ts';
import type { UnreadBytes } from './unread-bytes.ts';
import { type CrashReport, describeCrash, ExpectationError, TimeUp } from './verdict.ts';

/** Lines of the tail in a failure's message. */
const TAIL_LINES = 5;

/** A fresh step takes everything that the kernel may hold: at most this. Source: TTYB_DEFAULT_MEM_LIMIT, 640 KiB. */
const FRESH_LIMIT_BYTES = 1024 * 1024;

/** A board that never pauses: by then all that had arrived before has long been read. */
const FRESH_LIMIT_MS = 500;

/** What a session is given; it opens nothing itself. */
export interface SessionParts {
  readonly console: Console;
  readonly script: Script;
  /** Kept from the last session of the lease, and for the next one. */
  readonly unread: UnreadBytes;
  /** Called with each chunk as it arrives. */
  readonly onBytes: (chunk: Uint8Array) => void;
  /** Has the device's jig run a sequence to its end. */
  readonly runJig: RunJig;
  /** What goes on, for `-v`. */
  readonly detail: (text: string) => void;
  /** Bytes that the log of the console lacks, so far. */
  readonly logGapBytes: () => number;
  /** What counts as a crash of the device, where its config says so. */
  readonly deviceCrash?: CrashConfig | undefined;
  readonly results?: SessionResults | undefined;
  /** By default the time of day. */
  readonly clock?: Clock;
  /** How far a file has got; an empty text when that is over. */
  readonly onProgress?: (text: string) => void;
  /** A loss that did not change the outcome. */
  readonly onLoss: (loss: RigError) => void;
}

/** Runs one script on one console, once. */
export class Session {
  readonly transcript = new Transcript();
  readonly #parts: SessionParts;
  readonly #watch: StreamWatch;
  readonly #clock: Clock;
  readonly #quiet: QuietTimer;
  readonly #over = new AbortController();
  #bytesRead = 0;
  #current: Step | undefined;
  #hasDoneSteps = false;
  #freshLeft: number;
  #discarding: { sizeBytes: number; readonly done: () => void } | undefined;
  #stepDone: (() => void) | undefined;
  /** Takes what arrives, while it runs. */
  #transfer: FileTransfer | undefined;
  #settle: ((failure: unknown) => void) | undefined;
  #aftermath: CrashAftermath | undefined;
  /** Runs while everything has passed and a crash would still count. */
  #settling: ClockTimer | undefined;
  readonly #tests: SessionTests;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { script } = parts;
    this.#clock = parts.clock ?? REAL_CLOCK;
    this.#quiet = new QuietTimer(this.#clock, () => this.#onQuiet());
    this.#tests = new SessionTests(parts.results, script, this.#clock, () => this.#pass());
    this.#freshLeft = script.steps.filter((step) => beginsAfresh(step)).length;
    this.#watch = new StreamWatch(
      {
        pass: script.pass.map(({ pattern }) => pattern),
        fail: script.fail.map(({ pattern }) => pattern),
        crash: crashPatterns(crashWishOf(script), parts.deviceCrash),
      },
      {
        passCounts: this.#freshLeft > 0 ? 'when released' : 'at once',
        escapeSequences: script.escapeSequences,
      },
    );
  }

  /**
   * Resolves when the script has passed. Releases the console in any case, and leaves what no pattern used.
   *
   * @throws {ExpectationError} the board failed, stayed silent, or its tty went away
   * @throws the reason of `until`
   */
  async run(until: AbortSignal): Promise<void> {
    const { console, unread } = this.#parts;
    const settled = new Promise<unknown>((resolve) => {
      this.#settle = resolve;
    });
    const onAbort = (): void => this.#onAbort(until.reason);
    const early = unread.load();
    if (early.bytes.length > 0) {
      this.transcript.push(early.bytes);
      this.#tests.push(early.bytes);
    }
    this.#watch.goOnFrom(early);
    const reading = this.#read();
    until.addEventListener('abort', onAbort, { once: true });
    if (until.aborted) onAbort();
    const performing = this.#perform();
    const failure = await settled;
    until.removeEventListener('abort', onAbort);
    this.#stopWaiting();
    await performing; // a transfer is cancelled at both ends
    await console[Symbol.asyncDispose]();
    await reading; // what was read after the verdict is for the next one
    try {
      unread.replace(this.#watch.unread);
      this.#tellAccount();
    } catch (error) {
      throw failure ?? error;
    }
    if (failure !== undefined) throw failure;
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.#parts.console.bytes) this.#arrived(chunk);
    } catch (error) {
      // A board whose USB it is itself takes its tty along.
      if (this.#aftermath) this.#concludeCrash(this.#aftermath);
      else this.#finish(this.#because(error));
    }
  }

  #arrived(chunk: Uint8Array): void {
    this.#bytesRead += chunk.length;
    this.#parts.onBytes(chunk);
    if (this.#transfer) this.#transfer.push(chunk);
    else this.#take(chunk);
  }

  #take(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    // First, as the kernel has it no more, and this process may be killed at any time.
    const isKept = this.#discarding !== undefined || this.#parts.unread.append(chunk);
    this.transcript.push(chunk);
    if (this.#discarding) this.#discard(this.#discarding, chunk);
    else if (!this.#over.signal.aborted) this.#tests.push(chunk);
    const event = this.#watch.push(chunk);
    if (this.#aftermath) this.#watch.useUp(this.#aftermath.push(chunk));
    this.#handle(event);
    if (!isKept) this.#parts.unread.replace(this.#watch.unread);
    if (this.#discarding || this.#watch.caresForQuiet) this.#quiet.restart();
  }

  #discard(discarding: { sizeBytes: number; readonly done: () => void }, chunk: Uint8Array): void {
    discarding.sizeBytes += chunk.length;
    if (discarding.sizeBytes >= FRESH_LIMIT_BYTES) discarding.done();
  }

  async #perform(): Promise<void> {
    try {
      for (const step of this.#parts.script.steps) {
        await this.#unlessCrashed();
        this.#current = step;
        this.#parts.detail(`${this.#parts.console.label}: ${step.text}`);
        await this.#performStep(step);
      }
      await this.#unlessCrashed();
      this.#current = undefined;
      this.#hasDoneSteps = true;
      const { script, results } = this.#parts;
      if (script.pass.length === 0 && !script.expectCrash && !results) {
        this.#pass();
        return;
      }
      this.#look(() => this.#watch.finish());
      this.#tests.stepsDone();
    } catch (error) {
      this.#finish(this.#because(error));
    }
  }

  /** While a dump is read to its end nothing more is done. */
  async #unlessCrashed(): Promise<void> {
    this.#over.signal.throwIfAborted();
    if (this.#aftermath) await this.#untilDone(() => {});
  }

  async #performStep(step: Step): Promise<void> {
    switch (step.kind) {
      case 'expect':
        return await this.#expect(step);
      case 'fresh':
        return await this.#fresh();
      case 'jig':
        return await this.#actAfresh(
          async (signal) => void (await this.#parts.runJig(step.sequence, signal)),
        );
      case 'send':
        return await this.#send(step.bytes);
      case 'break':
        return await this.#actAfresh((signal) => this.#parts.console.sendBreak(step.breakMs, signal));
      case 'drive':
        return await this.#actAfresh(async () => this.#parts.console.drive(step.lines));
      case 'transfer':
        return await this.#transferFile(step.text, step.transfer);
      case 'pause':
        this.#look(() => this.#watch.idle());
        return await pause(this.#clock, step.pauseMs, this.#over.signal);
    }
  }

  async #actAfresh(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    await this.#fresh();
    this.#look(() => this.#watch.idle());
    await act(this.#over.signal);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const { signal } = this.#over;
    this.#look(() => this.#watch.idle());
    await sendText(bytes, this.#parts.script.sending ?? AT_ONCE, {
      send: (piece) => this.#parts.console.send(piece, signal),
      pause: (pauseMs) => pause(this.#clock, pauseMs, signal),
      echoOf: (line, withinMs, send) => this.#untilEchoed(line, withinMs, send),
    });
  }

  /** What had come before is no echo. */
  async #untilEchoed(line: Uint8Array, withinMs: number, send: () => Promise<void>): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.onceRead(resolve));
    this.#watch.useUp(Number.POSITIVE_INFINITY);
    const echoed = this.#untilDone((resolve) => {
      this.#stepDone = resolve;
      this.#look(() => this.#watch.expect({ kind: 'literal', bytes: line }));
    });
    echoed.catch(() => {}); // told below, or by what ended the session
    await send();
    const limit = this.#clock.after(withinMs, () =>
      this.#clock.onceRead(() => {
        const found = shownInstead(this.#watch.unread.bytes);
        const what = `expected the echo of ${quoted(line)} within ${formatDuration(withinMs)}, got ${found}`;
        this.#finish(this.#failure('verdict', what));
      }),
    );
    try {
      await echoed;
    } finally {
      limit.cancel();
    }
    this.#look(() => this.#watch.idle());
  }

  /** What goes through is neither text nor kept; what is left over is. */
  async #transferFile(text: string, transfer: Transfer): Promise<void> {
    const { console } = this.#parts;
    const early = Uint8Array.from(this.#watch.unread.bytes);
    this.#watch.useUp(Number.POSITIVE_INFINITY);
    this.#parts.unread.replace(this.#watch.unread);
    const running = new FileTransfer(transfer, {
      send: (bytes, signal) => console.send(bytes, signal),
      onProgress: (progress) => this.#parts.onProgress?.(progress),
    });
    this.#transfer = running;
    running.push(early);
    try {
      const { failure, rest } = await running.end(this.#over.signal);
      this.#transfer = undefined;
      this.#take(rest);
      if (failure !== undefined) throw this.#failure('verdict', `${text}: ${failure}`, { isWaiting: false });
    } finally {
      this.#transfer = undefined;
    }
  }

  async #expect(step: Step & { readonly kind: 'expect' }): Promise<void> {
    await this.#untilDone((resolve) => {
      this.#stepDone = resolve;
      this.#look(() => this.#watch.expect(...step.choice));
    });
    this.#quiet.stop();
  }

  async #fresh(): Promise<void> {
    this.#watch.discard();
    this.#parts.unread.replace(this.#watch.unread);
    const limit = this.#clock.after(FRESH_LIMIT_MS, () =>
      this.#clock.onceRead(() => this.#discarding?.done()),
    );
    try {
      await this.#untilDone((resolve) => {
        this.#discarding = { sizeBytes: 0, done: resolve };
        this.#quiet.restart();
      });
    } finally {
      limit.cancel();
      this.#quiet.stop();
      this.#discarding = undefined;
    }
    this.#parts.unread.replace(this.#watch.unread);
    this.#freshLeft--;
    this.#tests.freshen();
    this.#watch.releaseFresh(this.#freshLeft === 0 ? 'from now on' : 'not yet');
  }

  /** A promise that `start` is told how to resolve, and that the session's end rejects. */
  #untilDone(start: (resolve: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(this.#over.signal.reason as Error);
      this.#over.signal.addEventListener('abort', stop, { once: true });
      start(() => {
        this.#over.signal.removeEventListener('abort', stop);
        resolve();
      });
    });
  }

  #onQuiet(): void {
    try {
      if (this.#discarding) this.#discarding.done();
      else this.#handle(this.#watch.quiet());
    } catch (error) {
      this.#finish(error);
    }
  }

  /** What had arrived before may be all that comes. */
  #look(at: () => WatchEvent | undefined): void {
    this.#handle(at());
    if (this.#watch.caresForQuiet) this.#quiet.restart();
  }

  #handle(event: WatchEvent | undefined): void {
    if (!event) return;
    this.#parts.unread.replace(this.#watch.unread);
    const { script } = this.#parts;
    switch (event.kind) {
      case 'step':
        this.#stepDone?.();
        return;
      case 'pass':
        if (this.#settling) this.#look(() => this.#watch.finish());
        else this.#pass();
        return;
      case 'fail':
        this.#finish(
          this.#failure('verdict', `the board said ${script.fail[event.index]?.shown}, a fail text,`),
        );
        return;
      case 'crash':
        this.#crashed(event);
    }
  }

  #crashed(event: WatchEvent & { readonly kind: 'crash' }): void {
    const aftermath = new CrashAftermath(event, this.#clock, () => this.#concludeCrash(aftermath));
    this.#aftermath = aftermath;
    this.#quiet.stop();
    this.#settling?.cancel();
    // What has come with the line is the dump's beginning.
    this.#watch.useUp(aftermath.push(Uint8Array.from(this.#watch.unread.bytes)));
  }

  #concludeCrash(aftermath: CrashAftermath): void {
    aftermath.stop();
    const crash = aftermath.report(this.transcript);
    const { expectCrash } = this.#parts.script;
    const isWanted = expectCrash === 'any' || expectCrash?.some((family) => family === crash.family);
    if (isWanted) this.#parts.detail(`${this.#parts.console.label}: ${describeCrash(crash)}, as expected`);
    this.#finish(isWanted ? undefined : this.#crashFailure(crash));
  }

  #crashFailure(crash: CrashReport): ExpectationError {
    return this.#failure('verdict', describeCrash(crash), { crash });
  }

  /** Everything has come that was wanted. */
  #pass(): void {
    const { settleMs = 0 } = this.#parts.script;
    if (settleMs === 0) {
      this.#conclude();
      return;
    }
    this.#settling ??= this.#clock.after(settleMs, () => this.#clock.onceRead(() => this.#settled()));
    this.#look(() => this.#watch.finish());
  }

  #settled(): void {
    if (this.#aftermath || this.#over.signal.aborted) return;
    const crash = this.#watch.crashInUnfinishedLine();
    if (crash) this.#handle(crash);
    else this.#conclude();
  }

  #conclude(): void {
    if (this.#over.signal.aborted) return;
    const problem = this.#parts.results?.conclude();
    this.#finish(problem === undefined ? undefined : this.#failure('verdict', problem, { isWaiting: false }));
  }

  #stopWaiting(): void {
    this.#quiet.stop();
    this.#aftermath?.stop();
    this.#settling?.cancel();
    this.#tests.stop();
  }

  /** The first call decides; `undefined` is a pass. */
  #finish(failure: unknown): void {
    if (this.#over.signal.aborted) return;
    this.#watch.end();
    this.#over.abort(failure ?? new Error('the session has passed'));
    this.#settle?.(failure);
  }

  #because(error: unknown): unknown {
    if (!(error instanceof RigError) || error instanceof ExpectationError) return error;
    if (error.blame !== 'hardware') return error;
    return this.#failure('hardware', error.message.replace(`${this.#parts.console.label}: `, ''), {
      cause: error,
    });
  }

  #onAbort(reason: unknown): void {
    if (!(reason instanceof TimeUp)) {
      this.#finish(reason);
      return;
    }
    const crash = this.#aftermath ? undefined : this.#watch.crashInUnfinishedLine();
    if (crash) this.#handle(crash);
    if (this.#aftermath) this.#concludeCrash(this.#aftermath);
    else this.#finish(this.#late(reason));
  }

  #late(reason: TimeUp): ExpectationError {
    const account = this.#account;
    const lost = lostBytes(account);
    return this.#failure(
      // Neither a silent jig nor what was lost on the way is the firmware's doing.
      this.#current?.kind === 'jig' ? 'unavailable' : lost > 0 ? 'hardware' : 'verdict',
      `expected ${this.#waitedFor()} within ${formatDuration(reason.timeoutMs)}${lost > 0 ? `, but ${describeAccount(account)}` : ''}`,
    );
  }

  #failure(
    blame: Blame,
    what: string,
    details: { readonly crash?: CrashReport; readonly cause?: unknown; readonly isWaiting?: boolean } = {},
  ): ExpectationError {
    const { label } = this.#parts.console;
    const { isWaiting = !what.startsWith('expected ') } = details;
    const message = isWaiting
      ? `${label}: ${what} while waiting for ${this.#waitedFor()}`
      : `${label}: ${what}`;
    const tail = this.transcript.lines(TAIL_LINES);
    return new ExpectationError(blame, message, {
      step: this.#current?.text,
      tail,
      crash: details.crash,
      cause: details.cause,
    });
  }

  /** What the session is at, for messages. */
  #waitedFor(): string {
    const step = this.#current;
    if (!step) return this.#waitedForAtEnd();
    if (step.kind === 'expect') return step.shown;
    if (step.kind === 'send') return `the tty to take what ${step.text} sends`;
    return `${step.text} to end`;
  }

  #waitedForAtEnd(): string {
    if (!this.#hasDoneSteps) return 'the steps to begin';
    const { pass, expectCrash, settleMs } = this.#parts.script;
    if (this.#settling) return `${formatDuration(settleMs ?? 0)} without a crash or a fail`;
    if (expectCrash) return expectCrash === 'any' ? 'a crash' : `a crash of ${expectCrash.join(' or ')}`;
    return pass.map(({ shown }) => shown).join(' or ') || 'the tests to end';
  }

  get #account(): ByteAccount {
    return {
      bytesRead: this.#bytesRead,
      overruns: this.#parts.console.overruns,
      droppedBytes: this.#watch.droppedBytes,
      logGapBytes: this.#parts.logGapBytes(),
    };
  }

  #tellAccount(): void {
    const { console, detail, onLoss } = this.#parts;
    detail(`${console.label}: ${describeAccount(this.#account)}`);
    const loss = lossOf(console.label, this.#account);
    if (loss) onLoss(loss);
  }
}
