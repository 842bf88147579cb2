import { BootCount } from './boot-count.ts';
import { ByteBacklog } from './byte-backlog.ts';
import type { Captures } from './byte-regex.ts';
import type { CrashPattern } from './crash.ts';
import { EscapeSequences } from './escape-sequences.ts';
import type { Match, Pattern } from './matcher.ts';
import { Scan } from './scan.ts';

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
  readonly pass: readonly Pattern[];
  readonly fail: readonly Pattern[];
  readonly crash: readonly CrashPattern[];
}

/** What the board's bytes have decided: for a step which pattern of its choice, for a verdict which armed one. */
export type WatchEvent =
  | ({ readonly kind: 'step' | 'pass' | 'fail' } & Matched)
  | { readonly kind: 'crash'; readonly family: CrashPattern['family']; readonly line: string };

/** What matched. */
export interface Matched {
  /** Of the pattern, in its list. */
  readonly index: number;
  /** A copy of what it matched. */
  readonly bytes: Uint8Array;
  /** Of a regex. */
  readonly captures?: Captures;
}

export interface WatchOptions {
  /** `when released`: a pass pattern is no pass yet, as it may match what an older run said. */
  readonly passCounts?: 'at once' | 'when released';
  /** `ignored`: patterns see the text without them. */
  readonly escapeSequences?: 'seen' | 'ignored';
}

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
  readonly #armedPatterns: readonly Pattern[];
  readonly #crashPatterns: readonly Pattern[];
  readonly #escapeSequences: EscapeSequences | undefined;
  #armedMatcher: Scan;
  #crashMatcher: Scan;
  #step: Scan | undefined;
  #mode: Mode = 'between';
  /** Where the next step begins. */
  #position = 0;
  #lastByte: number | undefined;
  #passCounts: boolean;
  #droppedBytes = 0;
  readonly #boots = new BootCount();

  constructor(armed: ArmedPatterns, { passCounts = 'at once', escapeSequences = 'seen' }: WatchOptions = {}) {
    this.#armed = armed;
    this.#armedPatterns = [...armed.fail, ...armed.pass];
    this.#escapeSequences = escapeSequences === 'ignored' ? new EscapeSequences() : undefined;
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

  /** At most the last 64 KiB, as the board said them. A view, good until the next call. */
  get unread(): Unread {
    const from = Math.max(this.#position, this.#backlog.end - UNREAD_LIMIT_BYTES);
    const bytes = this.#backlog.view(from);
    const before = this.#byteBefore(from);
    const all = this.#escapeSequences?.restored(bytes, from) ?? bytes;
    const excess = all.length - UNREAD_LIMIT_BYTES;
    return excess > 0 ? { bytes: all.subarray(excess), before: all[excess - 1] } : { bytes: all, before };
  }

  /** Whether quiet could decide anything. */
  get caresForQuiet(): boolean {
    if (!this.#isLooking) return false;
    return this.#armedMatcher.matcher.caresForQuiet || this.#currentStep?.matcher.caresForQuiet === true;
  }

  /** First of all, what an earlier watch of the same board has left. */
  goOnFrom({ bytes, before }: Unread): void {
    if (before !== undefined) {
      this.#lastByte = before;
      this.#armedMatcher = this.#newArmedMatcher(0, before);
      this.#crashMatcher = new Scan(this.#crashPatterns, 0, before);
    }
    this.#append(bytes);
  }

  /** Bytes from the board, in order. */
  push(chunk: Uint8Array): WatchEvent | undefined {
    this.#append(chunk);
    if (this.#mode !== 'discarding') return this.#look();
    this.#startAfresh();
    return undefined;
  }

  /** From the current position on, the next match of one of these is a `step` event. */
  expect(...choice: readonly Pattern[]): WatchEvent | undefined {
    this.#step = new Scan(choice, this.#position, this.#byteBefore(this.#position));
    this.#mode = 'expecting';
    return this.#look();
  }

  /** No step looks at the bytes for now; armed patterns do. */
  idle(): WatchEvent | undefined {
    this.#boots.reset();
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

  /** The next bytes belong to what has been decided: they are not kept for anybody. */
  useUp(sizeBytes: number): void {
    this.#position = Math.min(this.#position + sizeBytes, this.#backlog.end);
  }

  /** What has arrived, and what arrives until {@link releaseFresh}, can no longer match. */
  discard(): void {
    this.#boots.reset();
    this.#mode = 'discarding';
    this.#startAfresh();
  }

  /** Ends {@link discard}. With `pass` counted from now on, when no other fresh step is to come. */
  releaseFresh(passCounts: 'from now on' | 'not yet'): void {
    this.#passCounts = passCounts === 'from now on';
    this.#mode = 'between';
    this.#startAfresh();
  }

  /** From now on a pass pattern counts, as no fresh step can come any more; not what has been looked at before. */
  countPass(): void {
    this.#passCounts = true;
  }

  /** Nothing more has come for a while. */
  quiet(): WatchEvent | undefined {
    if (!this.#isLooking) return undefined;
    const armed = this.#armedMatcher.quiet();
    if (armed && this.#counts(armed)) return this.#armedDone(armed);
    const step = this.#currentStep?.quiet();
    return step && this.#stepDone(step);
  }

  /** Time is up: a crash line that lacks its end still is what happened. */
  crashInUnfinishedLine(): WatchEvent | undefined {
    const match = this.#crashMatcher.quiet();
    return match && this.#isCrash(match) ? this.#crashed(match) : undefined;
  }

  get #isLooking(): boolean {
    return this.#mode === 'expecting' || this.#mode === 'idle' || this.#mode === 'armed';
  }

  get #currentStep(): Scan | undefined {
    return this.#mode === 'expecting' ? this.#step : undefined;
  }

  #append(bytes: Uint8Array): void {
    this.#backlog.append(this.#escapeSequences?.strip(bytes, this.#backlog.end) ?? bytes);
  }

  #look(): WatchEvent | undefined {
    if (!this.#isLooking) return undefined;
    const step = this.#currentStep?.advance(this.#backlog, this.#backlog.end);
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
      if (!match || this.#counts(match)) return match;
    }
  }

  #counts(armed: Match): boolean {
    return this.#passCounts || this.#armedKinds[armed.index] === 'fail';
  }

  #nextCrash(until: number): Match | undefined {
    for (;;) {
      const match = this.#crashMatcher.advance(this.#backlog, until);
      if (!match || this.#isCrash(match)) return match;
    }
  }

  /** A step that matched within the line, or past it, has dealt with it; and a board may start. */
  #isCrash(match: Match): boolean {
    if (match.start < this.#position) return false;
    return this.#boots.isCrash(this.#armed.crash[match.index], match.index);
  }

  #stepDone(match: Match): WatchEvent {
    this.#boots.reset();
    this.#position = match.end;
    this.#mode = 'between';
    this.#step = undefined;
    return { kind: 'step', ...this.#matched(match, match.index) };
  }

  #armedDone(match: Match): WatchEvent {
    this.#position = match.end;
    this.#mode = 'over';
    const kind = this.#armedKinds[match.index] ?? 'fail';
    return {
      kind,
      ...this.#matched(match, kind === 'fail' ? match.index : match.index - this.#armed.fail.length),
    };
  }

  #matched({ start, end, captures }: Match, index: number): Matched {
    const bytes = Uint8Array.from(this.#backlog.view(start, end));
    return captures ? { index, bytes, captures } : { index, bytes };
  }

  #crashed(match: Match): WatchEvent {
    const text = Buffer.from(this.#backlog.view(match.start, match.end)).toString('latin1');
    const line = text.replace(/[\r\n]+$/, '');
    this.#position = match.end;
    this.#mode = 'over';
    return { kind: 'crash', family: this.#armed.crash[match.index]?.family ?? 'device', line };
  }

  #startAfresh(): void {
    const end = this.#backlog.end;
    this.#lastByte = this.#byteBefore(end);
    this.#position = end;
    this.#armedMatcher = this.#newArmedMatcher(end, this.#lastByte);
    this.#crashMatcher = new Scan(this.#crashPatterns, end, this.#lastByte);
    this.#letGo(end);
  }

  #newArmedMatcher(start: number, before?: number): Scan {
    return new Scan(this.#armedPatterns, start, before);
  }

  #letGo(offset: number): void {
    this.#backlog.forgetBefore(offset);
    this.#escapeSequences?.forgetBefore(offset);
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
    this.#letGo(offset);
    this.#position = Math.max(this.#position, offset);
  }
}
