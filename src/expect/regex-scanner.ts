import type { ByteRegex, RegexHit } from './byte-regex.ts';

/** A regex sees at most this much text, ending where it is evaluated. */
const WINDOW_BYTES = 4096;

/** A line without an end is evaluated each time it has grown by this much, so that no match slides out unseen. */
const LONG_LINE_BYTES = 2048;

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
 */
export class RegexScanner {
  readonly #regexes: readonly ByteRegex[];
  readonly #dismissesInBulk: boolean;
  /** Latin1. Begins with one byte of context, so that `^` knows whether a line begins; none at a stream's start. */
  #text = '';
  #contextLength: 0 | 1;
  #scanned = 0;
  #lineLength = 0;
  #isStale = false;

  /** `before` is the byte just before the first one, where there was one. */
  constructor(regexes: readonly ByteRegex[], before?: number) {
    this.#regexes = regexes;
    this.#dismissesInBulk = regexes.every((regex) => regex.isMonotonic);
    this.#text = before === undefined ? '' : String.fromCharCode(before);
    this.#contextLength = before === undefined ? 0 : 1;
  }

  /** The first decision within `chunk`; the next scan must go on from the byte after `decidedAt`. */
  scan(chunk: Uint8Array): RegexDecision | undefined {
    if (this.#regexes.length === 0 || chunk.length === 0) return undefined;
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
    if (this.#dismissesInBulk && (!this.#isDueWithin(chunk) || !this.#matchesSomewhere(text))) {
      const lastNewline = chunk.lastIndexOf(NEWLINE);
      this.#take(text, text.length - (lastNewline + 1), lastNewline >= 0);
      return undefined;
    }
    for (let from = 0; from < chunk.length; ) {
      const to = this.#nextEvaluation(chunk, from);
      const endsLine = chunk[to - 1] === NEWLINE;
      this.#take(text.slice(from, to), endsLine ? 0 : to - from, endsLine);
      if (this.#lineLength % LONG_LINE_BYTES === 0) {
        this.#isStale = !endsLine;
        const decision = this.#evaluate(endsLine ? 'up to the end' : 'short of the end');
        if (decision) return decision;
      }
      from = to;
    }
    return undefined;
  }

  /** Evaluates what has arrived of an unfinished line. */
  quiet(): RegexDecision | undefined {
    if (!this.#isStale) return undefined;
    this.#isStale = false;
    return this.#evaluate('up to the end');
  }

  /** Whether anything is evaluated at all: most chunks of a slow board are pieces of a line. */
  #isDueWithin(chunk: Uint8Array): boolean {
    return chunk.includes(NEWLINE) || (this.#lineLength % LONG_LINE_BYTES) + chunk.length >= LONG_LINE_BYTES;
  }

  #matchesSomewhere(more: string): boolean {
    const text = this.#text + more;
    return this.#regexes.some((regex) => regex.find(text, this.#contextLength));
  }

  /** Just past the next newline, or where the line gets too long, or the chunk's end. */
  #nextEvaluation(chunk: Uint8Array, from: number): number {
    const newline = chunk.indexOf(NEWLINE, from);
    const lineEnd = newline < 0 ? chunk.length : newline + 1;
    const untilLong = LONG_LINE_BYTES - (this.#lineLength % LONG_LINE_BYTES);
    return Math.min(lineEnd, from + untilLong);
  }

  /** `lineLength` is what `text` adds to the unfinished line, or begins one with. */
  #take(text: string, lineLength: number, endsLine: boolean): void {
    this.#text += text;
    this.#scanned += text.length;
    this.#lineLength = endsLine ? lineLength : this.#lineLength + lineLength;
    this.#isStale = true;
    const excess = this.#text.length - (WINDOW_BYTES + 1);
    if (excess <= 0) return;
    this.#text = this.#text.slice(excess);
    this.#contextLength = 1;
  }

  /** In the middle of a long line, what reaches the end of the text may be a cut line's. */
  #evaluate(reach: 'up to the end' | 'short of the end'): RegexDecision | undefined {
    const textStart = this.#scanned - this.#text.length;
    let best: RegexDecision | undefined;
    this.#regexes.forEach((regex, index) => {
      const hit = regex.find(this.#text, this.#contextLength);
      if (!hit || (reach === 'short of the end' && hit.end === this.#text.length)) return;
      const end = textStart + hit.end;
      if (best && best.end <= end) return;
      best = { index, start: textStart + hit.start, end, decidedAt: this.#scanned };
    });
    if (best) this.#forget();
    return best;
  }

  /** After a decision, matching begins anew. */
  #forget(): void {
    this.#text = this.#text.slice(-1);
    this.#contextLength = 1;
  }
}
