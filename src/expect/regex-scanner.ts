import { ByteBacklog } from './byte-backlog.ts';
import type { RegexHit, StreamRegex } from './byte-regex.ts';
import { WordSightings } from './word-sightings.ts';

/** A regex sees at most this much text, ending where it is evaluated. */
const WINDOW_BYTES = 4096;

/** A line without an end is evaluated each time it has grown by this much, so that no match slides out unseen. */
const LONG_LINE_BYTES = 2048;

/** How much older text may lie around before it is moved away. */
const SLACK_BYTES = 32 * 1024;

const NEWLINE = 0x0a;

/** Which regex matched, where, and at which byte that was decided; offsets count from the first byte scanned. */
export interface RegexDecision extends RegexHit {
  readonly index: number;
  readonly decidedAt: number;
}

/**
 * Evaluates regexes on a bounded window of a byte stream: at every line end, within lines longer than 2 KiB, and
 * when told that the board has gone quiet. So the outcome depends on the bytes and not on how they were cut, and a
 * line of which only the half has arrived is not taken for a whole one.
 *
 * Most of a stream is dismissed unread by regexes: no word that a match must hold has been seen, or one look at many
 * lines finds nothing.
 */
export class RegexScanner {
  readonly #regexes: readonly StreamRegex[];
  /** Those that no word announces. */
  readonly #unannounced: readonly StreamRegex[];
  readonly #sightings: WordSightings;
  /** The last of what was scanned, by the offsets of the stream plus the context byte. */
  readonly #window = new ByteBacklog();
  /** 1 where a byte before the first one is known: it comes first in the window. */
  readonly #contextLength: 0 | 1;
  /** No match begins before. */
  #floor = 0;
  #lineStart = 0;
  #isStale = false;

  /** `before` is the byte just before the first one, where there was one. */
  constructor(regexes: readonly StreamRegex[], before?: number) {
    this.#regexes = regexes;
    this.#unannounced = regexes.filter((regex) => !regex.requiredWords);
    this.#sightings = new WordSightings(regexes, WINDOW_BYTES);
    this.#contextLength = before === undefined ? 0 : 1;
    if (before !== undefined) this.#window.append(Uint8Array.of(before));
  }

  /** The first decision within these bytes of `chunk`; the next scan must go on from the byte after `decidedAt`. */
  scan(chunk: Uint8Array, from = 0, to = chunk.length): RegexDecision | undefined {
    if (this.#regexes.length === 0 || from >= to) return undefined;
    const start = this.#scanned;
    const lastNewline = chunk.lastIndexOf(NEWLINE, to - 1);
    const isDue =
      lastNewline >= from || (start - this.#lineStart) % LONG_LINE_BYTES >= LONG_LINE_BYTES - (to - from);
    this.#append(chunk, from, to);
    if (!isDue) {
      this.#sightings.look(chunk, from, to, start);
      this.#isStale = true;
      return undefined;
    }
    return this.#isDismissed(chunk, from, to, start)
      ? this.#passOver(lastNewline >= from ? start + lastNewline - from + 1 : undefined)
      : this.#scanByPieces(chunk, from, to, start);
  }

  /** Evaluates what has arrived of an unfinished line. */
  quiet(): RegexDecision | undefined {
    if (!this.#isStale) return undefined;
    this.#isStale = false;
    return this.#evaluate(this.#scanned, 'up to the end');
  }

  /** What was scanned so far can be no part of a match any more. */
  beginAnew(): void {
    this.#floor = this.#scanned;
    this.#sightings.reset();
  }

  get #scanned(): number {
    return this.#window.end - this.#contextLength;
  }

  #append(chunk: Uint8Array, from: number, to: number): void {
    this.#window.append(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }

  /** Whether no evaluation within these bytes, which the window already ends with, can find anything. */
  #isDismissed(chunk: Uint8Array, from: number, to: number, start: number): boolean {
    if (this.#sightings.isAnyRecent(start)) return false;
    // What the words let pass is read; where they do not, nothing has been.
    if (this.#unannounced.length > 0 && !this.#isDismissedUnannounced(start)) return false;
    return this.#sightings.passes(chunk, from, to);
  }

  #isDismissedUnannounced(start: number): boolean {
    const isOfLines = this.#unannounced.every((regex) => regex.staysInLine);
    const begin = this.#beginOf(isOfLines ? this.#lineStart : 0, start);
    const { text, first } = this.#textFrom(begin, this.#scanned);
    return !this.#unannounced.some((regex) => regex.couldMatch(text, first));
  }

  /** `newLineStart` is where the last line of what was dismissed begins, where that is another one. */
  #passOver(newLineStart: number | undefined): undefined {
    if (newLineStart !== undefined) this.#lineStart = newLineStart;
    this.#isStale = true;
    this.#trim();
    return undefined;
  }

  #scanByPieces(chunk: Uint8Array, from: number, to: number, start: number): RegexDecision | undefined {
    for (let at = from; at < to; ) {
      const next = this.#nextEvaluation(chunk, at, to, start - from);
      const offset = start + next - from;
      this.#sightings.look(chunk, at, next, start + at - from);
      const endsLine = chunk[next - 1] === NEWLINE;
      const isDue = endsLine || (offset - this.#lineStart) % LONG_LINE_BYTES === 0;
      this.#isStale = !endsLine;
      const decision = isDue
        ? this.#evaluate(offset, endsLine ? 'up to the end' : 'short of the end')
        : undefined;
      if (endsLine) {
        this.#lineStart = offset;
        this.#sightings.endLine();
      }
      if (decision) {
        this.#window.forgetAfter(offset + this.#contextLength);
        return decision;
      }
      at = next;
    }
    this.#trim();
    return undefined;
  }

  /** Just past the next newline, or where the line gets too long, or the end. */
  #nextEvaluation(chunk: Uint8Array, at: number, to: number, shift: number): number {
    const newline = chunk.indexOf(NEWLINE, at);
    const lineEnd = newline < 0 || newline >= to ? to : newline + 1;
    const lineLength = at + shift - this.#lineStart;
    return Math.min(lineEnd, at + LONG_LINE_BYTES - (lineLength % LONG_LINE_BYTES));
  }

  /** In the middle of a long line, what reaches the end of the text may be a cut line's. */
  #evaluate(end: number, reach: 'up to the end' | 'short of the end'): RegexDecision | undefined {
    let best: RegexDecision | undefined;
    for (const [index, regex] of this.#regexes.entries()) {
      if (!this.#sightings.isRecent(index, end)) continue;
      const begin = this.#beginOf(regex.staysInLine ? this.#lineStart : 0, end);
      const { text, first } = this.#textFrom(begin, end);
      const hit = regex.find(text, first);
      if (!hit || (reach === 'short of the end' && hit.end === text.length)) continue;
      const shift = begin - first;
      if (best && best.end <= hit.end + shift) continue;
      best = { ...hit, index, start: hit.start + shift, end: hit.end + shift, decidedAt: end };
    }
    return best;
  }

  #beginOf(wanted: number, end: number): number {
    return Math.max(wanted, this.#floor, end - WINDOW_BYTES);
  }

  /** Latin1, with the byte before it where there is one: `first` is the offset of the text itself in it. */
  #textFrom(begin: number, end: number): { readonly text: string; readonly first: number } {
    const first = begin + this.#contextLength > 0 ? 1 : 0;
    const from = begin + this.#contextLength;
    return { text: this.#window.latin1(from - first, end + this.#contextLength), first };
  }

  #trim(): void {
    const excess = this.#window.end - this.#window.start - (WINDOW_BYTES + 1);
    if (excess > SLACK_BYTES) this.#window.forgetBefore(this.#window.end - (WINDOW_BYTES + 1));
  }
}
