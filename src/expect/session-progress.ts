import { formatDuration } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';
import { type ByteAccount, lateness } from './byte-account.ts';
import type { Clock } from './clock.ts';
import type { Script, Step } from './script.ts';
import type { Transcript } from './transcript.ts';
import { type CrashReport, ExpectationError, type TimeUp } from './verdict.ts';

/** What a step lacks of the time of the run is told when it is as much: who reads a time-out looks at the step. */
const SPENT_MS = 200;
const SPENT_SHARE = 0.25;
/** A silence that is told by itself. */
const SILENCE_MS = 5000;

/** Lines of the tail in a failure's message. */
export const TAIL_LINES = 5;

export interface ProgressParts {
  readonly label: string;
  readonly script: Script;
  readonly transcript: Transcript;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** When the last byte came. */
  readonly lastMs: () => number | undefined;
  /** Whether a script on several ttys is for another one, and has only branches here. */
  readonly isGuest: boolean;
  /** Whether all that was wanted has come, and a crash would still count. */
  readonly isSettling: () => boolean;
}

/** How far a session is with its script, and in which words it fails there. */
export class SessionProgress {
  readonly #parts: ProgressParts;
  /** A place of the script, where nothing is done on this tty. */
  #current: Step | { readonly kind: 'place'; readonly text: string } | undefined;
  #hasDoneSteps = false;
  #hasDoneBranch = false;
  #beganMs: number;
  /** When what it does or waits for now began. */
  #sinceMs: number;

  constructor(parts: ProgressParts) {
    this.#parts = parts;
    this.#beganMs = parts.clock.nowMs;
    this.#sinceMs = this.#beganMs;
  }

  /** Whether a script on several ttys does nothing on this one just now. */
  get isBystander(): boolean {
    return this.#current ? this.#current.kind === 'place' : this.#parts.isGuest;
  }

  /** The session runs; what it waited for before is nobody's time. */
  begin(): void {
    this.#beganMs = this.#parts.clock.nowMs;
    this.#sinceMs = this.#beganMs;
  }

  isAtStep(step: Step): void {
    this.#goOn(step);
  }

  isAtPlace(text: string): void {
    this.#goOn({ kind: 'place', text });
  }

  /** Of a branch. */
  hasDoneBranch(): void {
    this.#goOn(undefined);
    this.#hasDoneBranch = true;
  }

  hasDoneSteps(): void {
    this.#goOn(undefined);
    this.#hasDoneSteps = true;
  }

  /** By default it waits for something, which is then part of the message. */
  failure(
    blame: Blame,
    what: string,
    details: {
      readonly crash?: CrashReport;
      /** What the lines hold that tell of it. */
      readonly telling?: readonly string[] | undefined;
      readonly cause?: unknown;
      readonly isWaiting?: boolean;
    } = {},
  ): ExpectationError {
    const { label, transcript } = this.#parts;
    const { isWaiting = !what.startsWith('expected ') } = details;
    const waiting = isWaiting ? ` ${this.#meanwhile()}` : '';
    return new ExpectationError(blame, `${label}: ${what}${waiting}`, {
      step: this.#current?.text,
      tail: transcript.tail(TAIL_LINES, details.telling),
      crash: details.crash,
      cause: details.cause,
    });
  }

  /** `known`: what is the firmware's doing whatever was lost. */
  late(
    timeUp: TimeUp,
    account: ByteAccount,
    { known, tty }: { readonly known: 'a test failed' | 'nothing failed'; readonly tty: 'there' | 'away' },
  ): ExpectationError {
    const { blame, what } = lateness(this.#waitedFor(), this.#inTime(timeUp), account, tty);
    const ownBlame = known === 'a test failed' ? 'verdict' : blame;
    // A silent jig is not the firmware's doing either.
    return this.failure(this.#current?.kind === 'jig' ? 'unavailable' : ownBlame, what);
  }

  /** Somebody has told it to stop; undefined where it does nothing itself. */
  interrupted(reason: Error): ExpectationError | undefined {
    if (this.isBystander) return undefined;
    const waited = formatDuration(this.#parts.clock.nowMs - this.#sinceMs);
    return this.failure('verdict', `${reason.message} after ${waited}`, { cause: reason });
  }

  /** What is to be told of `error`: with the tail, where it is the tty's. */
  because(error: unknown): unknown {
    if (!(error instanceof RigError) || error instanceof ExpectationError) return error;
    if (error.blame !== 'hardware') return error;
    return this.failure('hardware', error.message.replace(`${this.#parts.label}: `, ''), { cause: error });
  }

  #goOn(to: Step | { readonly kind: 'place'; readonly text: string } | undefined): void {
    this.#current = to;
    this.#sinceMs = this.#parts.clock.nowMs;
  }

  #inTime({ timeoutMs, of }: TimeUp): string {
    const within = ` within ${formatDuration(timeoutMs)}`;
    if (of === 'a part') return within;
    const { clock, lastMs } = this.#parts;
    const { nowMs } = clock;
    const silentMs = nowMs - (lastMs() ?? nowMs);
    const spentMs = this.#sinceMs - this.#beganMs;
    const silent = `, the board silent for ${formatDuration(silentMs < SILENCE_MS ? silentMs : Math.round(silentMs / 1000) * 1000)}`;
    if (spentMs < Math.max(SPENT_MS, SPENT_SHARE * timeoutMs))
      return `${within}${silentMs < SILENCE_MS ? '' : silent}`;
    const had = formatDuration(Math.max(0, nowMs - this.#sinceMs));
    return `; the whole run had ${formatDuration(timeoutMs)}, this ${this.#current ? 'step' : 'wait'} ${had} of it${silentMs > 0 ? silent : ''}`;
  }

  #meanwhile(): string {
    if (this.#current?.kind === 'place') return `during ${this.#current.text}`;
    if (this.#hasDoneBranch && !this.#current && !this.#hasDoneSteps)
      return 'after its steps, while the other ttys go on';
    return `while waiting for ${this.#waitedFor()}`;
  }

  #waitedFor(): string {
    const step = this.#current;
    if (!step) return this.#waitedForAtEnd();
    if (step.kind === 'expect') return step.shown;
    if (step.kind === 'send') return `the tty to take what ${step.text} sends`;
    return `${step.text} to end`;
  }

  #waitedForAtEnd(): string {
    if (!this.#hasDoneSteps) return 'the steps to begin';
    const { script, isSettling } = this.#parts;
    const { pass, expectCrash, settleMs } = script;
    if (isSettling()) return `${formatDuration(settleMs ?? 0)} without a crash or a fail`;
    if (expectCrash) return expectCrash === 'any' ? 'a crash' : `a crash of ${expectCrash.join(' or ')}`;
    return pass.map(({ shown }) => shown).join(' or ') || 'the tests to end';
  }
}
