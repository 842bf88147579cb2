import type { RigError } from '../base/errors.ts';
import { Stopped } from '../base/run-main.ts';
import type { Console } from '../tty/console.ts';
import type { CrashConfig } from '../wire/crash.ts';
import { BoardOutput } from './board-output.ts';
import { type ByteAccount, describeAccount, lossOf } from './byte-account.ts';
import { type Clock, REAL_CLOCK } from './clock.ts';
import { crashPatterns, crashWishOf } from './crash.ts';
import type { StartTransfer } from './file-transfer.ts';
import { freshAhead } from './flow.ts';
import type { RunJig } from './jig-step.ts';
import { runProgram } from './run-program.ts';
import type { Branch, Instruction, Script, Step } from './script.ts';
import { type Problem, SessionEnding } from './session-ending.ts';
import { SessionProgress } from './session-progress.ts';
import { SessionSteps } from './session-steps.ts';
import { type SessionResults, SessionTests } from './session-tests.ts';
import { type Matched, StreamWatch, type WatchEvent } from './stream-watch.ts';
import type { Transcript } from './transcript.ts';
import type { UnreadBytes } from './unread-bytes.ts';
import { untilDone } from './until-done.ts';
import { type ExpectationError, TimeUp } from './verdict.ts';

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
  /** A step has been done; what matched, of one that waits for it. */
  readonly onStep?: ((step: Step, matched: Matched | undefined) => void) | undefined;
  /** It has come to its verdict, and lets go of the console. */
  readonly onDecided?: (() => void) | undefined;
  /** What has been read, once nothing more will be. */
  readonly onAccount?: ((account: ByteAccount) => void) | undefined;
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
  readonly #parts: SessionParts;
  readonly #clock: Clock;
  readonly #watch: StreamWatch;
  readonly #output: BoardOutput;
  readonly #progress: SessionProgress;
  readonly #steps: SessionSteps;
  readonly #tests: SessionTests;
  readonly #ending: SessionEnding;
  readonly #over = new AbortController();
  #settle: ((failure: unknown) => void) | undefined;
  /** The steps, or those of the last branch; it never rejects. */
  #performing: Promise<unknown> = Promise.resolve();
  #interruption: ExpectationError | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { console, script, results } = parts;
    const clock = parts.clock ?? REAL_CLOCK;
    const watch = new StreamWatch(
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
    const output = new BoardOutput({
      console,
      watch,
      unread: parts.unread,
      clock,
      onBytes: parts.onBytes,
      onLooked: (chunk) => {
        this.#tests.push(chunk);
        this.#ending.readOn();
      },
      onFresh: () => this.#tests.freshen(),
      onEvent: (event) => this.#take(event),
      onFailure: (error) => this.#onFailure(error),
      onQuiet: parts.onQuiet,
    });
    const { transcript } = output;
    this.#clock = clock;
    this.#watch = watch;
    this.#output = output;
    this.#tests = new SessionTests(results, script, clock, () => this.#ending.passed());
    this.#ending = new SessionEnding({
      script,
      clock,
      watch,
      transcript,
      results,
      look: (at) => output.look(at),
      onVerdict: (problem) => this.#finish(problem && this.#problem(problem)),
      detail: (text) => this.#detail(text),
    });
    this.#progress = new SessionProgress({
      label: console.label,
      script,
      transcript,
      clock,
      lastMs: () => output.lastMs,
      isGuest: parts.branches !== undefined,
      isSettling: () => this.#ending.isSettling,
    });
    this.#steps = new SessionSteps({
      console,
      output,
      watch,
      clock,
      progress: this.#progress,
      sending: script.sending,
      runJig: parts.runJig,
      startTransfer: parts.startTransfer,
      onProgress: parts.onProgress,
      over: this.#over.signal,
      turn: () => this.#unlessEnding(),
      fail: (failure) => this.#finish(failure),
    });
  }

  /** Where it was, when it was told to stop in the middle of something. */
  get interruption(): ExpectationError | undefined {
    return this.#interruption;
  }

  get transcript(): Transcript {
    return this.#output.transcript;
  }

  /**
   * Resolves when the script has passed. Releases the console in any case, and leaves what no pattern used.
   *
   * @throws {ExpectationError} the board failed, stayed silent, or its tty went away
   * @throws the reason of `until`
   */
  async run(until: AbortSignal): Promise<void> {
    const settled = new Promise<unknown>((resolve) => {
      this.#settle = resolve;
    });
    const onAbort = (): void => this.#onAbort(until.reason);
    this.#progress.begin();
    this.#output.begin();
    until.addEventListener('abort', onAbort, { once: true });
    if (until.aborted) onAbort();
    if (this.#parts.branches) this.#lookOn();
    if (!this.#parts.branches) this.#performing = this.#perform();
    const failure = await settled;
    until.removeEventListener('abort', onAbort);
    this.#tests.stop();
    this.#ending.stop();
    if (this.#output.isHandedOver) await this.#performing; // it is cancelled at both ends
    try {
      await this.#output.release();
      this.#tellAccount();
    } catch (error) {
      throw failure ?? error;
    }
    if (failure !== undefined) throw failure;
  }

  /**
   * Runs what a script does here while others do their part. Its failure is the session's.
   *
   * @throws the same
   */
  async performBranch(steps: readonly Instruction[], captured: Map<string, Uint8Array>): Promise<void> {
    const performing = this.#performBranch(steps, captured);
    this.#performing = Promise.allSettled([performing]);
    await performing;
  }

  async #performBranch(steps: readonly Instruction[], captured: Map<string, Uint8Array>): Promise<void> {
    try {
      await this.#runProgram(steps, captured, 'none follows');
      await this.#unlessEnding();
      this.#progress.hasDoneBranch();
      this.#lookOn();
    } catch (error) {
      this.#finish(this.#progress.because(error));
      throw error;
    }
  }

  async #perform(): Promise<void> {
    try {
      await this.#runProgram(this.#parts.script.steps, new Map(), 'none follows');
      await this.#unlessEnding();
      this.#progress.hasDoneSteps();
      const { script, results } = this.#parts;
      if (script.pass.length === 0 && !script.expectCrash && !results) {
        this.#ending.passed();
        return;
      }
      this.#output.look(() => this.#watch.finish());
      this.#tests.stepsDone();
    } catch (error) {
      this.#finish(this.#progress.because(error));
    }
  }

  async #runProgram(
    program: readonly Instruction[],
    captured: Map<string, Uint8Array>,
    freshAfter: 'fresh steps follow' | 'none follows',
  ): Promise<void> {
    await runProgram(
      program,
      captured,
      {
        turn: () => this.#unlessEnding(),
        perform: async (step, ahead) => {
          this.#progress.isAtStep(step);
          this.#detail(step.text);
          const matched = await this.#performInTime(step, ahead ? 'not yet' : 'from now on');
          this.#parts.onStep?.(step, matched);
          return matched;
        },
        parallel: async (step, ahead) => {
          this.#progress.isAtPlace(step.text);
          this.#detail(step.text);
          this.#lookOn();
          await this.#runBranches(step, captured, ahead ? 'fresh steps follow' : 'none follows');
        },
        noFreshAhead: () => this.#watch.countPass(),
        failure: (text, what) => {
          this.#progress.isAtPlace(text);
          return this.#progress.failure('verdict', `${text} ${what}`, { isWaiting: false });
        },
      },
      freshAfter,
    );
  }

  /** Each on its tty, one of them perhaps on this one. */
  async #runBranches(
    { text, branches }: Instruction & { readonly kind: 'parallel' },
    captured: Map<string, Uint8Array>,
    freshAfter: 'fresh steps follow' | 'none follows',
  ): Promise<void> {
    const own = async (steps: readonly Instruction[]): Promise<void> => {
      await this.#runProgram(steps, captured, freshAfter);
      this.#progress.isAtPlace(text);
      this.#lookOn();
    };
    await untilDone<void>(this.#over.signal, (resolve, reject) => {
      // A session that fails tells it itself.
      const ownOrOver = (steps: readonly Instruction[]): Promise<void> => own(steps).catch(reject);
      this.#parts.runBranches?.(branches, captured, ownOrOver).then(resolve, () => {});
    });
  }

  async #performInTime(step: Step, passCounts: 'from now on' | 'not yet'): Promise<Matched | undefined> {
    const { withinMs } = step;
    if (withinMs === undefined) return await this.#steps.perform(step, passCounts);
    const limit = this.#clock.after(withinMs, () => this.#onAbort(new TimeUp(withinMs)));
    try {
      return await this.#steps.perform(step, passCounts);
    } finally {
      limit.cancel();
    }
  }

  /** While a dump is read to its end, or a pass settles, nothing more is done. */
  async #unlessEnding(): Promise<void> {
    this.#over.signal.throwIfAborted();
    if (this.#ending.hasBegun) await untilDone<void>(this.#over.signal, () => {});
  }

  /** No step waits for what comes now: what is armed does. */
  #lookOn(): void {
    this.#output.look(() => this.#watch.idle());
  }

  #take(event: WatchEvent): void {
    switch (event.kind) {
      case 'step':
        this.#steps.matched(event);
        return;
      case 'pass':
        this.#ending.passed();
        return;
      case 'fail': {
        const text = this.#parts.script.fail[event.index]?.shown;
        this.#finish(this.#progress.failure('verdict', `the board said ${text}, a fail text,`));
        return;
      }
      case 'crash':
        this.#output.endWait();
        this.#ending.crashed(event);
    }
  }

  /** A board that is its own USB adapter takes its tty along when it crashes. */
  #onFailure(error: unknown): void {
    if (!this.#ending.concludeCrash()) this.#finish(this.#progress.because(error));
  }

  #onAbort(reason: unknown): void {
    if (!(reason instanceof TimeUp)) {
      if (reason instanceof Stopped) this.#interruption ??= this.#progress.interrupted(reason);
      this.#finish(reason);
      return;
    }
    if (this.#ending.concludeCrash()) return;
    this.#output.look(() => this.#watch.crashInUnfinishedLine());
    if (this.#ending.concludeCrash()) return;
    const known = this.#parts.results?.hasFailed ? 'a test failed' : 'nothing failed';
    // Of several ttys, the one that is waited for tells what it waits for.
    const tty = this.#parts.console.isAway ? 'away' : 'there';
    const late = this.#progress.late(reason, this.#account, { known, tty });
    this.#finish(this.#progress.isBystander ? reason : late);
  }

  /** The first call decides; `undefined` is a pass. */
  #finish(failure: unknown): void {
    if (this.#over.signal.aborted) return;
    this.#parts.onDecided?.();
    this.#output.end();
    this.#over.abort(failure ?? new Error('the session has passed'));
    this.#settle?.(failure);
  }

  #problem({ text, crash, telling, mayBeLost = false }: Problem): ExpectationError {
    const { overruns = 0 } = this.#account;
    if (!mayBeLost || overruns === 0)
      return this.#progress.failure('verdict', text, crash ? { crash, telling } : { isWaiting: false });
    const what = `${text}, but ${describeAccount(this.#account)}`;
    return this.#progress.failure('hardware', what, { isWaiting: false });
  }

  #detail(text: string): void {
    this.#parts.detail(`${this.#parts.console.label}: ${text}`);
  }

  get #account(): ByteAccount {
    return { ...this.#output.account, logGapBytes: this.#parts.logGapBytes() };
  }

  #tellAccount(): void {
    const { console, onLoss } = this.#parts;
    this.#parts.onAccount?.(this.#account);
    this.#detail(describeAccount(this.#account));
    const loss = lossOf(console.label, this.#account);
    if (loss) onLoss(loss);
  }
}

/** Until the last fresh step that can come, a pass pattern may match what an older run said. */
function mayComeFresh({ script, branches }: SessionParts): boolean {
  const programs = branches?.map(({ steps }) => steps) ?? [script.steps];
  return programs.some((program) => freshAhead(program)[0]);
}
