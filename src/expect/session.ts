import { formatDuration } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';
import type { Console } from '../tty/console.ts';
import type { CrashConfig } from '../wire/crash.ts';
import { type ByteAccount, describeAccount, lossOf, lostBytes } from './byte-account.ts';
import { type Clock, pause, REAL_CLOCK } from './clock.ts';
import { crashPatterns, crashWishOf } from './crash.ts';
import { type RunningTransfer, type StartTransfer, startTransfer, type Transfer } from './file-transfer.ts';
import { freshAhead } from './flow.ts';
import type { RunJig } from './jig-step.ts';
import { QuietTimer } from './quiet-timer.ts';
import { runProgram } from './run-program.ts';
import type { Branch, Instruction, Script, Step } from './script.ts';
import { AT_ONCE, sendText, shownInstead } from './sending.ts';
import { type Problem, SessionEnding } from './session-ending.ts';
import { type SessionResults, SessionTests } from './session-tests.ts';
import { type Matched, StreamWatch, type WatchEvent } from './stream-watch.ts';
import { quoted } from './text.ts';
import { Transcript } from './transcript.ts';
import type { UnreadBytes } from './unread-bytes.ts';
import { type CrashReport, ExpectationError, TimeUp } from './verdict.ts';

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
  /** Of a script on several ttys: absent for the one that the script is for, else what happens on this one. */
  readonly branches?: readonly Branch[];
  /** Has other sessions run their branches to the end; `own` runs what is for this one. */
  readonly runBranches?: (
    branches: readonly Branch[],
    captured: Map<string, Uint8Array>,
    own: (steps: readonly Instruction[]) => Promise<void>,
  ) => Promise<void>;
  /** Kept from the last session of the lease, and for the next one. */
  readonly unread: UnreadBytes;
  /** Called with each chunk as it arrives. */
  readonly onBytes: (chunk: Uint8Array) => void;
  /** Has the device's jig run a sequence to its end. */
  readonly runJig: RunJig;
  /** By default with lrzsz. */
  readonly startTransfer?: StartTransfer;
  /** What goes on, for `-v`. */
  readonly detail: (text: string) => void;
  /** Bytes that the log of the console lacks, so far. */
  readonly logGapBytes: () => number;
  /** What counts as a crash of the device, where its config says so. */
  readonly deviceCrash?: CrashConfig | undefined;
  readonly results?: SessionResults | undefined;
  /** By default the time of day. */
  readonly clock?: Clock;
  /** Called when nothing has come for 50 ms, also where that decides nothing. */
  readonly onQuiet?: (() => void) | undefined;
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
  /** A place of the script, where nothing is done on this tty. */
  #current: Step | { readonly kind: 'place'; readonly text: string } | undefined;
  #hasDoneSteps = false;
  #discarding: { sizeBytes: number; readonly done: () => void } | undefined;
  #stepDone: ((matched: Matched) => void) | undefined;
  /** Takes what arrives, while it runs. */
  #transfer: RunningTransfer | undefined;
  #settle: ((failure: unknown) => void) | undefined;
  readonly #tests: SessionTests;
  readonly #ending: SessionEnding;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { script } = parts;
    this.#clock = parts.clock ?? REAL_CLOCK;
    this.#quiet = new QuietTimer(this.#clock, () => this.#onQuiet());
    this.#tests = new SessionTests(parts.results, script, this.#clock, () => this.#ending.passed());
    this.#watch = new StreamWatch(
      {
        pass: script.pass.map(({ pattern }) => pattern),
        fail: script.fail.map(({ pattern }) => pattern),
        crash: crashPatterns(crashWishOf(script), parts.deviceCrash),
      },
      {
        passCounts: mayComeFresh(parts) ? 'when released' : 'at once',
        escapeSequences: script.escapeSequences,
      },
    );
    this.#ending = new SessionEnding({
      script,
      clock: this.#clock,
      watch: this.#watch,
      transcript: this.transcript,
      results: parts.results,
      look: (at) => this.#look(at),
      onVerdict: (problem) => this.#finish(problem && this.#problem(problem)),
      detail: (text) => parts.detail(`${parts.console.label}: ${text}`),
    });
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
    if (this.#parts.branches) this.#look(() => this.#watch.idle());
    const performing = this.#parts.branches ? undefined : this.#perform();
    const failure = await settled;
    until.removeEventListener('abort', onAbort);
    this.#quiet.stop();
    this.#tests.stop();
    this.#ending.stop();
    if (this.#transfer) await performing; // it is cancelled at both ends
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
      // A board that is its own USB adapter takes its tty along.
      if (!this.#ending.concludeCrash()) this.#finish(this.#because(error));
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
    this.#ending.push(chunk);
    this.#handle(event);
    if (!isKept) this.#parts.unread.replace(this.#watch.unread);
    if (this.#discarding || this.#watch.caresForQuiet || this.#tellsQuiet) this.#quiet.restart();
  }

  #discard(discarding: { sizeBytes: number; readonly done: () => void }, chunk: Uint8Array): void {
    discarding.sizeBytes += chunk.length;
    if (discarding.sizeBytes >= FRESH_LIMIT_BYTES) discarding.done();
  }

  /**
   * Runs what a script does here while others do their part. Its failure is the session's.
   *
   * @throws the same
   */
  async performBranch(steps: readonly Instruction[], captured: Map<string, Uint8Array>): Promise<void> {
    try {
      await this.#runProgram(steps, captured, 'none follows');
      await this.#unlessEnding();
      this.#current = undefined;
      this.#look(() => this.#watch.idle());
    } catch (error) {
      this.#finish(this.#because(error));
      throw error;
    }
  }

  async #perform(): Promise<void> {
    try {
      await this.#runProgram(this.#parts.script.steps, new Map(), 'none follows');
      await this.#unlessEnding();
      this.#current = undefined;
      this.#hasDoneSteps = true;
      const { script, results } = this.#parts;
      if (script.pass.length === 0 && !script.expectCrash && !results) {
        this.#ending.passed();
        return;
      }
      this.#look(() => this.#watch.finish());
      this.#tests.stepsDone();
    } catch (error) {
      this.#finish(this.#because(error));
    }
  }

  async #runProgram(
    program: readonly Instruction[],
    captured: Map<string, Uint8Array>,
    freshAfter: 'fresh steps follow' | 'none follows',
  ): Promise<void> {
    const { detail, console, runBranches } = this.#parts;
    await runProgram(
      program,
      captured,
      {
        turn: () => this.#unlessEnding(),
        perform: async (step, ahead) => {
          this.#current = step;
          detail(`${console.label}: ${step.text}`);
          return await this.#performInTime(step, ahead ? 'not yet' : 'from now on');
        },
        parallel: async ({ text, branches }, ahead) => {
          const place = { kind: 'place', text } as const;
          this.#current = place;
          detail(`${console.label}: ${text}`);
          this.#look(() => this.#watch.idle());
          const own = async (steps: readonly Instruction[]): Promise<void> => {
            await this.#runProgram(steps, captured, ahead ? 'fresh steps follow' : 'none follows');
            this.#current = place;
            this.#look(() => this.#watch.idle());
          };
          await this.#untilDone<void>((resolve, reject) => {
            // A session that fails tells it itself.
            const ownOrOver = (steps: readonly Instruction[]): Promise<void> =>
              own(steps).catch((error: unknown) => reject(error));
            runBranches?.(branches, captured, ownOrOver).then(resolve, () => {});
          });
        },
        noFreshAhead: () => this.#watch.countPass(),
        failure: (text, what) => {
          this.#current = { kind: 'place', text };
          return this.#failure('verdict', `${text} ${what}`);
        },
      },
      freshAfter,
    );
  }

  async #performInTime(step: Step, passCounts: 'from now on' | 'not yet'): Promise<Matched | undefined> {
    const { withinMs } = step;
    if (withinMs === undefined) return await this.#performStep(step, passCounts);
    const timer = this.#clock.after(withinMs, () => this.#onAbort(new TimeUp(withinMs)));
    try {
      return await this.#performStep(step, passCounts);
    } finally {
      timer.cancel();
    }
  }

  /** While a dump is read to its end, or a pass settles, nothing more is done. */
  async #unlessEnding(): Promise<void> {
    this.#over.signal.throwIfAborted();
    if (this.#ending.hasBegun) await this.#untilDone<void>(() => {});
  }

  async #performStep(step: Step, passCounts: 'from now on' | 'not yet'): Promise<Matched | undefined> {
    switch (step.kind) {
      case 'expect':
        return await this.#expect(step);
      case 'fresh':
        await this.#fresh(passCounts);
        return undefined;
      case 'jig':
        await this.#fresh(passCounts);
        await this.#idle();
        await this.#parts.runJig(step.sequence, this.#over.signal);
        return undefined;
      case 'break':
        await this.#fresh(passCounts);
        await this.#idle();
        await this.#parts.console.sendBreak(step.breakMs, this.#over.signal);
        return undefined;
      case 'drive':
        await this.#fresh(passCounts);
        await this.#idle();
        this.#parts.console.drive(step.lines);
        return undefined;
      case 'send':
        await this.#idle();
        await this.#send(step.bytes);
        return undefined;
      case 'transfer':
        await this.#idle();
        await this.#transferFile(step.text, step.transfer);
        return undefined;
      case 'pause':
        await this.#idle();
        await pause(this.#clock, step.pauseMs, this.#over.signal);
        return undefined;
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const { signal } = this.#over;
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
    const echoed = this.#untilDone<Matched>((resolve) => {
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
    await this.#idle();
  }

  /** What goes through is neither text nor kept; what is left over is. */
  async #transferFile(text: string, transfer: Transfer): Promise<void> {
    const { console } = this.#parts;
    const early = Uint8Array.from(this.#watch.unread.bytes);
    this.#watch.useUp(Number.POSITIVE_INFINITY);
    this.#parts.unread.replace(this.#watch.unread);
    const running = (this.#parts.startTransfer ?? startTransfer)(transfer, {
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

  async #idle(): Promise<void> {
    this.#look(() => this.#watch.idle());
    await this.#unlessEnding();
  }

  async #expect(step: Step & { readonly kind: 'expect' }): Promise<Matched> {
    const matched = await this.#untilDone<Matched>((resolve) => {
      this.#stepDone = resolve;
      this.#look(() => this.#watch.expect(...step.choice));
    });
    this.#endWait();
    return matched;
  }

  async #fresh(passCounts: 'from now on' | 'not yet'): Promise<void> {
    this.#watch.discard();
    this.#parts.unread.replace(this.#watch.unread);
    const limit = this.#clock.after(FRESH_LIMIT_MS, () => this.#clock.onceRead(() => this.#onQuiet()));
    try {
      await this.#untilDone<void>((resolve) => {
        this.#discarding = { sizeBytes: 0, done: resolve };
        this.#quiet.restart();
      });
    } finally {
      limit.cancel();
      this.#endWait();
      this.#discarding = undefined;
    }
    this.#parts.unread.replace(this.#watch.unread);
    this.#tests.freshen();
    this.#watch.releaseFresh(passCounts);
  }

  /** A promise that `start` is told how to resolve, and that the session's end rejects. */
  #untilDone<T>(start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(this.#over.signal.reason as Error);
      this.#over.signal.addEventListener('abort', stop, { once: true });
      start((value) => {
        this.#over.signal.removeEventListener('abort', stop);
        resolve(value);
      }, reject);
    });
  }

  get #tellsQuiet(): boolean {
    return this.#parts.onQuiet !== undefined && !this.#over.signal.aborted;
  }

  /** Nobody waits for quiet any more, unless it is told to the end. */
  #endWait(): void {
    if (!this.#tellsQuiet) this.#quiet.stop();
  }

  #onQuiet(): void {
    try {
      this.#parts.onQuiet?.();
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
        this.#stepDone?.(event);
        return;
      case 'pass':
        this.#ending.passed();
        return;
      case 'fail':
        this.#finish(
          this.#failure('verdict', `the board said ${script.fail[event.index]?.shown}, a fail text,`),
        );
        return;
      case 'crash':
        this.#endWait();
        this.#ending.crashed(event);
    }
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
    if (this.#ending.concludeCrash()) return;
    this.#handle(this.#watch.crashInUnfinishedLine());
    if (this.#ending.concludeCrash()) return;
    // Of several ttys, the one that is waited for tells what it waits for.
    this.#finish(this.#isBystander ? reason : this.#late(reason));
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

  #problem({ text, crash }: Problem): ExpectationError {
    return this.#failure('verdict', text, crash ? { crash } : { isWaiting: false });
  }

  #failure(
    blame: Blame,
    what: string,
    details: { readonly crash?: CrashReport; readonly cause?: unknown; readonly isWaiting?: boolean } = {},
  ): ExpectationError {
    const { label } = this.#parts.console;
    const { isWaiting = !what.startsWith('expected ') && this.#current?.kind !== 'place' } = details;
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

  /** Whether a script on several ttys does nothing on this one just now. */
  get #isBystander(): boolean {
    return this.#current ? this.#current.kind === 'place' : this.#parts.branches !== undefined;
  }

  #waitedForAtEnd(): string {
    if (!this.#hasDoneSteps) return 'the steps to begin';
    const { pass, expectCrash, settleMs } = this.#parts.script;
    if (this.#ending.isSettling) return `${formatDuration(settleMs ?? 0)} without a crash or a fail`;
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

/** Until the last fresh step that can come, a pass pattern may match what an older run said. */
function mayComeFresh({ script, branches }: SessionParts): boolean {
  const programs = branches?.map(({ steps }) => steps) ?? [script.steps];
  return programs.some((program) => freshAhead(program)[0]);
}
