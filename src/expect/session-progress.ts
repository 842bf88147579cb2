import { formatDuration } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';
import { type ByteAccount, lateness } from './byte-account.ts';
import type { Script, Step } from './script.ts';
import type { Transcript } from './transcript.ts';
import { type CrashReport, ExpectationError, type TimeUp } from './verdict.ts';

/** Lines of the tail in a failure's message. */
export const TAIL_LINES = 5;

export interface ProgressParts {
  readonly label: string;
  readonly script: Script;
  readonly transcript: Transcript;
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

  constructor(parts: ProgressParts) {
    this.#parts = parts;
  }

  /** Whether a script on several ttys does nothing on this one just now. */
  get isBystander(): boolean {
    return this.#current ? this.#current.kind === 'place' : this.#parts.isGuest;
  }

  isAtStep(step: Step): void {
    this.#current = step;
  }

  isAtPlace(text: string): void {
    this.#current = { kind: 'place', text };
  }

  /** Of a branch. */
  hasDoneBranch(): void {
    this.#current = undefined;
  }

  hasDoneSteps(): void {
    this.#current = undefined;
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
    const { isWaiting = !what.startsWith('expected ') && this.#current?.kind !== 'place' } = details;
    const waiting = isWaiting ? ` while waiting for ${this.#waitedFor()}` : '';
    return new ExpectationError(blame, `${label}: ${what}${waiting}`, {
      step: this.#current?.text,
      tail: transcript.tail(TAIL_LINES, details.telling),
      crash: details.crash,
      cause: details.cause,
    });
  }

  /** `known`: what is the firmware's doing whatever was lost. */
  late(
    { timeoutMs }: TimeUp,
    account: ByteAccount,
    { known, tty }: { readonly known: 'a test failed' | 'nothing failed'; readonly tty: 'there' | 'away' },
  ): ExpectationError {
    const { blame, what } = lateness(this.#waitedFor(), timeoutMs, account, tty);
    const ownBlame = known === 'a test failed' ? 'verdict' : blame;
    // A silent jig is not the firmware's doing either.
    return this.failure(this.#current?.kind === 'jig' ? 'unavailable' : ownBlame, what);
  }

  /** What is to be told of `error`: with the tail, where it is the tty's. */
  because(error: unknown): unknown {
    if (!(error instanceof RigError) || error instanceof ExpectationError) return error;
    if (error.blame !== 'hardware') return error;
    return this.failure('hardware', error.message.replace(`${this.#parts.label}: `, ''), { cause: error });
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
