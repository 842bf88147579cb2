import { type ArmedMatch, firstArmed } from './armed-match.ts';
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
  readonly #crashPatterns: readonly Pattern[];
  #escapeSequences: EscapeSequences | undefined;
  /** Apart, so that a pass pattern that does not count hides nothing from the others. */
  #failMatcher: Scan;
  #passMatcher: Scan;
  #crashMatcher: Scan;
  #step: Scan | undefined;
  #mode: Mode = 'between';
  /** Where the next step begins. */
  #position = 0;
  #lastByte: number | undefined;
  #passCounts: boolean;
  #hasPassed = false;
  #droppedBytes = 0;
  /** Dropped too, and nothing has looked for them yet: perhaps nothing ever will. */
  #unmissedBytes = 0;
  /** What has come since the crash: from where, how much was shown, and how much of that is the crash's own. */
  #dump = { start: 0, shownBytes: 0, usedBytes: 0 };
  readonly #boots = new BootCount();

  constructor(armed: ArmedPatterns, { passCounts = 'at once', escapeSequences = 'seen' }: WatchOptions = {}) {
    this.#armed = armed;
    this.#escapeSequences = escapeSequences === 'ignored' ? new EscapeSequences() : undefined;
    this.#crashPatterns = armed.crash.map(({ regex }) => ({ kind: 'regex', regex }));
    this.#passCounts = passCounts === 'at once';
    this.#failMatcher = new Scan(armed.fail, 0);
    this.#passMatcher = new Scan(armed.pass, 0);
    this.#crashMatcher = new Scan(this.#crashPatterns, 0);
  }

  /** Bytes that arrived while nothing looked for them, and were too many to keep for what then did. */
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
    const looking = [this.#failMatcher, this.#passMatcher, this.#currentStep];
    return looking.some((scan) => scan?.matcher.caresForQuiet === true);
  }

  /** First of all, what an earlier watch of the same board has left. */
  goOnFrom({ bytes, before }: Unread): void {
    if (before !== undefined) {
      this.#lastByte = before;
      this.#arm(0);
    }
    this.#append(bytes);
  }

  /** Bytes from the board, in order. */
  push(chunk: Uint8Array): WatchEvent | undefined {
    this.#append(chunk);
    if (this.#mode !== 'discarding') return this.#look();
    this.#letGoOfAll();
    return undefined;
  }

  /** From the current position on, the next match of one of these is a `step` event. */
  expect(...choice: readonly Pattern[]): WatchEvent | undefined {
    this.#missDropped();
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

  /** All that was wanted has come, and armed patterns look on: another pass is none. */
  settle(): WatchEvent | undefined {
    this.#hasPassed = true;
    return this.finish();
  }

  /** The verdict is told: whatever else arrives is only kept. */
  end(): void {
    this.#mode = 'over';
  }

  /** What has come is of no use to any step. */
  useUp(): void {
    this.#unmissedBytes = 0;
    this.#escapeSequences?.spend();
    this.#position = this.#backlog.end;
  }

  /** Shows `reader` what has come since the crash, each byte once. As many more of them as it says are the crash's own. */
  readDump(reader: (bytes: Uint8Array) => number): void {
    const dump = this.#dump;
    const from = dump.start + dump.shownBytes;
    const bytes = Uint8Array.from(this.#backlog.view(from));
    dump.shownBytes = this.#backlog.end - dump.start;
    dump.usedBytes += reader(bytes);
    this.#position = Math.max(this.#position, dump.start + dump.usedBytes);
  }

  /** A copy of all that no pattern has used, for somebody who takes what comes in place of the patterns from here on. */
  handOver(): Unread {
    this.#missDropped();
    const from = this.#position;
    const before = this.#byteBefore(from);
    const plain = this.#backlog.view(from);
    const bytes = Uint8Array.from(this.#escapeSequences?.restored(plain, from) ?? plain);
    this.#beginAfter(before);
    return { bytes, before };
  }

  /** Ends {@link handOver}: what comes now follows on `before`. */
  takeBack(before: number | undefined): void {
    this.#beginAfter(before);
  }

  /** What has arrived, and what arrives until {@link releaseFresh}, can no longer match. */
  discard(): void {
    this.#boots.reset();
    this.#unmissedBytes = 0;
    this.#mode = 'discarding';
    this.#letGoOfAll();
    this.#arm(this.#position);
  }

  /** Ends {@link discard}. With `pass` counted from now on, when no other fresh step is to come. */
  releaseFresh(passCounts: 'from now on' | 'not yet'): void {
    this.#passCounts = passCounts === 'from now on';
    this.#mode = 'between';
    this.#letGoOfAll();
    this.#arm(this.#position);
  }

  /** From now on a pass pattern counts, as no fresh step can come any more; not what has been looked at before. */
  countPass(): void {
    this.#passCounts = true;
  }

  /** Nothing more has come for a while. */
  quiet(): WatchEvent | undefined {
    if (!this.#isLooking) return undefined;
    const pass = this.#passMatcher.quiet();
    const fail = this.#failMatcher.quiet();
    const armed = firstArmed(fail, pass && this.#isPass(pass) ? pass : undefined);
    if (armed) return this.#armedDone(armed);
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
    if (this.#mode === 'over') this.#trim();
    if (!this.#isLooking) return undefined;
    const step = this.#currentStep?.advance(this.#backlog, this.#backlog.end);
    const armed = this.#nextArmed(step?.decidedAt ?? this.#backlog.end);
    const before = Math.min(
      step?.decidedAt ?? Number.POSITIVE_INFINITY,
      armed?.match.decidedAt ?? Number.POSITIVE_INFINITY,
    );
    const crash = this.#nextCrash(Math.min(before, this.#backlog.end));
    if (crash && crash.decidedAt < before) return this.#crashed(crash);
    if (armed) return this.#armedDone(armed);
    if (step) return this.#stepDone(step);
    this.#trim();
    return undefined;
  }

  /** The next armed match that counts, in bytes before `until`. */
  #nextArmed(until: number): ArmedMatch | undefined {
    const pass = this.#nextPass(until);
    // No further: after a pass that settles, the rest is still to be seen.
    return firstArmed(this.#failMatcher.advance(this.#backlog, pass?.decidedAt ?? until), pass);
  }

  #nextPass(until: number): Match | undefined {
    for (;;) {
      const match = this.#passMatcher.advance(this.#backlog, until);
      if (!match || this.#isPass(match)) return match;
    }
  }

  /** What comes after a pass like it is its own, and not the next session's. */
  #isPass(match: Match): boolean {
    if (this.#hasPassed) this.#position = Math.max(this.#position, match.end);
    return this.#passCounts && !this.#hasPassed;
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
    return this.#boots.isCrash(this.#armed.crash[match.index], () => this.#textOf(match));
  }

  #stepDone(match: Match): WatchEvent {
    this.#boots.reset();
    this.#position = match.end;
    this.#mode = 'between';
    this.#step = undefined;
    return { kind: 'step', ...this.#matched(match, match.index) };
  }

  #armedDone({ kind, match }: ArmedMatch): WatchEvent {
    // What a step has used meanwhile stays so.
    this.#position = Math.max(this.#position, match.end);
    this.#mode = 'over';
    return { kind, ...this.#matched(match, match.index) };
  }

  #matched({ start, end, captures }: Match, index: number): Matched {
    const bytes = Uint8Array.from(this.#backlog.view(start, end));
    return captures ? { index, bytes, captures } : { index, bytes };
  }

  #crashed(match: Match): WatchEvent {
    const line = this.#textOf(match);
    this.#position = match.end;
    this.#dump = { start: match.end, shownBytes: 0, usedBytes: 0 };
    this.#mode = 'over';
    return { kind: 'crash', family: this.#armed.crash[match.index]?.family ?? 'device', line };
  }

  #textOf({ start, end }: Match): string {
    const text = Buffer.from(this.#backlog.view(start, end)).toString('latin1');
    return text.replace(/[\r\n]+$/, '');
  }

  #letGoOfAll(): void {
    const end = this.#backlog.end;
    this.#lastByte = this.#byteBefore(end);
    this.#position = end;
    this.#letGo(end);
    this.#escapeSequences?.spend();
  }

  #missDropped(): void {
    this.#droppedBytes += this.#unmissedBytes;
    this.#unmissedBytes = 0;
  }

  /** Anew, and with nothing of what came so far. */
  #beginAfter(before: number | undefined): void {
    this.#letGoOfAll();
    if (this.#escapeSequences) this.#escapeSequences = new EscapeSequences();
    this.#lastByte = before;
    this.#arm(this.#position);
  }

  /** Anew: what came before `start` is no part of a match. */
  #arm(start: number): void {
    this.#failMatcher = new Scan(this.#armed.fail, start, this.#lastByte);
    this.#passMatcher = new Scan(this.#armed.pass, start, this.#lastByte);
    this.#crashMatcher = new Scan(this.#crashPatterns, start, this.#lastByte);
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
      if (isForNextStep) this.#unmissedBytes += kept - limit;
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
