import { ByteBacklog } from './byte-backlog.ts';
import type { CrashPattern } from './crash.ts';
import { type Match, Matcher, type Pattern } from './matcher.ts';

/** How much of what no pattern has used is kept for the next `sai-expect` of the lease; the last of it. */
export const UNREAD_LIMIT_BYTES = 64 * 1024;

/** How much of what arrives while a step pauses or sends is kept for the step after it, at least. 12 minutes at 115200 baud. */
const IDLE_LIMIT_BYTES = 8 * 1024 * 1024;

/** What no pattern has used. */
export interface Unread {
  readonly bytes: Uint8Array;
  /** The byte just before them: it tells whether a line begins. Undefined when nothing came before. */
  readonly before: number | undefined;
}

/** What is armed all the time. */
export interface ArmedPatterns {
  readonly pass: readonly Uint8Array[];
  readonly fail: readonly Uint8Array[];
  readonly crash: readonly CrashPattern[];
}

/** What the board's bytes have decided. */
export type WatchEvent =
  | { readonly kind: 'step' }
  | { readonly kind: 'pass' | 'fail'; readonly index: number }
  | { readonly kind: 'crash'; readonly family: string; readonly line: string };

/** What happens with bytes that arrive: held; looked at, and used or kept for the next step or for none; let go of. */
type Mode = 'between' | 'expecting' | 'idle' | 'armed' | 'discarding' | 'over';

/**
 * One board's output against the current step and everything that is armed: pure, without clock and console.
 *
 * Steps use up bytes in order; armed patterns see every byte once, but never bytes past the one that decided a step
 * before the next step is known. At the same byte a fail or pass pattern wins over the step, and the step over a crash;
 * a crash line that a step has matched in is no crash.
 */
export class StreamWatch {
  readonly #backlog = new ByteBacklog();
  readonly #armed: ArmedPatterns;
  readonly #armedKinds: readonly ('pass' | 'fail')[];
  readonly #crashPatterns: readonly Pattern[];
  #armedMatcher: Scan;
  #crashMatcher: Scan;
  #step: Scan | undefined;
  #mode: Mode = 'between';
  /** Where the next step begins. */
  #position = 0;
  #lastByte: number | undefined;
  #passCounts: boolean;
  #droppedBytes = 0;

  /** With `freshSteps` still to come, a pass text is not a pass yet: it may be the one of an older run. */
  constructor(armed: ArmedPatterns, passCounts: 'at once' | 'when released' = 'at once') {
    this.#armed = armed;
    this.#armedKinds = [...armed.fail.map(() => 'fail' as const), ...armed.pass.map(() => 'pass' as const)];
    this.#crashPatterns = armed.crash.map(({ regex }) => ({ kind: 'regex', regex }));
    this.#passCounts = passCounts === 'at once';
    this.#armedMatcher = this.#newArmedMatcher(0);
    this.#crashMatcher = new Scan(this.#crashPatterns, 0);
  }

  /** Bytes that arrived while nothing looked for them and were too many to keep. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** At most the last 64 KiB. A view, good until the next call. */
  get unread(): Unread {
    const from = Math.max(this.#position, this.#backlog.end - UNREAD_LIMIT_BYTES);
    return { bytes: this.#backlog.view(from), before: this.#byteBefore(from) };
  }

  /** Whether quiet could decide the current step. */
  get caresForQuiet(): boolean {
    return this.#mode === 'expecting' && this.#step?.matcher.caresForQuiet === true;
  }

  /** First of all, what an earlier watch of the same board has left. */
  goOnFrom({ bytes, before }: Unread): void {
    this.#lastByte = before;
    this.#crashMatcher = new Scan(this.#crashPatterns, 0, before);
    this.#backlog.append(bytes);
  }

  /** Bytes from the board, in order. */
  push(chunk: Uint8Array): WatchEvent | undefined {
    this.#backlog.append(chunk);
    if (this.#mode !== 'discarding') return this.#look();
    this.#startAfresh();
    return undefined;
  }

  /** From the current position on, the next match of `pattern` is a `step` event. */
  expect(pattern: Pattern): WatchEvent | undefined {
    this.#step = new Scan([pattern], this.#position, this.#byteBefore(this.#position));
    this.#mode = 'expecting';
    return this.#look();
  }

  /** No step looks at the bytes for now; armed patterns do. */
  idle(): WatchEvent | undefined {
    this.#mode = 'idle';
    return this.#look();
  }

  /** No step will come any more; armed patterns look. */
  finish(): WatchEvent | undefined {
    this.#mode = 'armed';
    return this.#look();
  }

  /** The verdict is told: whatever else arrives is only kept. */
  end(): void {
    this.#mode = 'over';
  }

  /** What has arrived, and what arrives until {@link releaseFresh}, can no longer match. */
  discard(): void {
    this.#mode = 'discarding';
    this.#startAfresh();
  }

  /** Ends {@link discard}. With `pass` counted from now on, when no other fresh step is to come. */
  releaseFresh(passCounts: 'from now on' | 'not yet'): void {
    this.#passCounts = passCounts === 'from now on';
    this.#mode = 'between';
    this.#startAfresh();
  }

  /** Nothing more has come for a while. */
  quiet(): WatchEvent | undefined {
    if (this.#mode !== 'expecting' || !this.#step) return undefined;
    const match = this.#step.quiet();
    return match && this.#stepDone(match);
  }

  /** Time is up: a crash line that lacks its end still is what happened. */
  crashInUnfinishedLine(): WatchEvent | undefined {
    const match = this.#crashMatcher.quiet();
    return match && this.#isCrash(match) ? this.#crashed(match) : undefined;
  }

  #look(): WatchEvent | undefined {
    if (this.#mode === 'between' || this.#mode === 'over') return undefined;
    const step =
      this.#mode === 'expecting' ? this.#step?.advance(this.#backlog, this.#backlog.end) : undefined;
    const armed = this.#nextArmed(step?.decidedAt ?? this.#backlog.end);
    const before = Math.min(
      step?.decidedAt ?? Number.POSITIVE_INFINITY,
      armed?.decidedAt ?? Number.POSITIVE_INFINITY,
    );
    const crash = this.#nextCrash(Math.min(before, this.#backlog.end));
    if (crash && crash.decidedAt < before) return this.#crashed(crash);
    if (armed) return this.#armedDone(armed);
    if (step) return this.#stepDone(step);
    this.#trim();
    return undefined;
  }

  /** The next armed match that counts, in bytes before `until`. */
  #nextArmed(until: number): Match | undefined {
    for (;;) {
      const match = this.#armedMatcher.advance(this.#backlog, until);
      if (!match || this.#passCounts || this.#armedKinds[match.index] === 'fail') return match;
    }
  }

  #nextCrash(until: number): Match | undefined {
    for (;;) {
      const match = this.#crashMatcher.advance(this.#backlog, until);
      if (!match || this.#isCrash(match)) return match;
    }
  }

  /** A step that matched within the line, or past it, has dealt with it. */
  #isCrash(match: Match): boolean {
    return match.start >= this.#position;
  }

  #stepDone(match: Match): WatchEvent {
    this.#position = match.end;
    this.#mode = 'between';
    this.#step = undefined;
    return { kind: 'step' };
  }

  #armedDone(match: Match): WatchEvent {
    this.#position = match.end;
    this.#mode = 'over';
    const kind = this.#armedKinds[match.index] ?? 'fail';
    return { kind, index: kind === 'fail' ? match.index : match.index - this.#armed.fail.length };
  }

  #crashed(match: Match): WatchEvent {
    const line = Buffer.from(this.#backlog.view(match.start, match.end)).toString('latin1');
    this.#position = match.end;
    this.#mode = 'over';
    return { kind: 'crash', family: this.#armed.crash[match.index]?.family ?? '', line };
  }

  #startAfresh(): void {
    const end = this.#backlog.end;
    this.#lastByte = this.#byteBefore(end);
    this.#position = end;
    this.#armedMatcher = this.#newArmedMatcher(end);
    this.#crashMatcher = new Scan(this.#crashPatterns, end, this.#lastByte);
    this.#backlog.forgetBefore(end);
  }

  #newArmedMatcher(start: number): Scan {
    const literals = [...this.#armed.fail, ...this.#armed.pass];
    return new Scan(
      literals.map((bytes) => ({ kind: 'literal', bytes })),
      start,
    );
  }

  #byteBefore(offset: number): number | undefined {
    return offset > this.#backlog.start ? this.#backlog.view(offset - 1, offset)[0] : this.#lastByte;
  }

  /** What no step will need any more is kept for the next `sai-expect` only; in steps, so that each byte moves once. */
  #trim(): void {
    const isForNextStep = this.#mode === 'idle';
    const limit = isForNextStep ? IDLE_LIMIT_BYTES : UNREAD_LIMIT_BYTES;
    const kept = this.#backlog.end - this.#position;
    if (kept > 2 * limit) {
      if (isForNextStep) this.#droppedBytes += kept - limit;
      this.#forgetBefore(this.#backlog.end - limit);
    } else if (this.#position - this.#backlog.start > UNREAD_LIMIT_BYTES) {
      this.#forgetBefore(this.#position);
    }
  }

  #forgetBefore(offset: number): void {
    this.#lastByte = this.#byteBefore(offset);
    this.#backlog.forgetBefore(offset);
    this.#position = Math.max(this.#position, offset);
  }
}

/** A matcher at its place in the stream. */
class Scan {
  readonly matcher: Matcher;
  readonly #start: number;

  constructor(patterns: readonly Pattern[], start: number, before?: number) {
    this.matcher = new Matcher(patterns, before);
    this.#start = start;
  }

  /** Looks at what it has not seen, up to `until`; offsets are the stream's. */
  advance(backlog: ByteBacklog, until: number): Match | undefined {
    const from = this.#start + this.matcher.scanned;
    if (from >= until) return undefined;
    return this.#placed(this.matcher.push(backlog.view(from, until)));
  }

  quiet(): Match | undefined {
    return this.#placed(this.matcher.quiet());
  }

  #placed(match: Match | undefined): Match | undefined {
    if (!match) return undefined;
    const start = this.#start;
    return {
      index: match.index,
      start: start + match.start,
      end: start + match.end,
      decidedAt: start + match.decidedAt,
    };
  }
}
