import type { Captures, StreamRegex } from './byte-regex.ts';
import { LiteralScanner } from './literal-scanner.ts';
import { RegexScanner } from './regex-scanner.ts';

/** What to look for: bytes as they are, or a regular expression. */
export type Pattern =
  | { readonly kind: 'literal'; readonly bytes: Uint8Array }
  | { readonly kind: 'regex'; readonly regex: StreamRegex };

/** Offsets count from the first byte that the matcher was given. */
export interface Match {
  /** Of the pattern, in the matcher's list. */
  readonly index: number;
  readonly start: number;
  /** Just past its last byte: where the next matcher begins. */
  readonly end: number;
  /** Just past the byte that decided it: `end` for a literal, the end of the line for a regex. */
  readonly decidedAt: number;
  /** Of a regex. */
  readonly captures?: Captures;
}

/**
 * Looks for the first of several patterns in a byte stream that comes in any chunking.
 *
 * A literal is decided with its last byte; a regex at the end of the line, and at quiet. The first to be decided
 * counts; of several at the same byte the one that ends first, then the one that is earlier in the list. Reads
 * each byte once and keeps at most 4 KiB of text. Knows no clock: whoever reads the board says when it is quiet.
 */
export class Matcher {
  readonly #patterns: readonly Pattern[];
  readonly #literals: LiteralScanner;
  readonly #literalIndexes: readonly number[];
  readonly #regexes: RegexScanner;
  readonly #regexIndexes: readonly number[];
  #scanned = 0;

  /** `before` is the byte just before the first one, where there was one: it tells whether a line begins. */
  constructor(patterns: readonly Pattern[], before?: number) {
    this.#patterns = patterns;
    const literals: Uint8Array[] = [];
    const literalIndexes: number[] = [];
    const regexes: StreamRegex[] = [];
    const regexIndexes: number[] = [];
    patterns.forEach((pattern, index) => {
      if (pattern.kind === 'literal') {
        literals.push(pattern.bytes);
        literalIndexes.push(index);
      } else {
        regexes.push(pattern.regex);
        regexIndexes.push(index);
      }
    });
    this.#literals = new LiteralScanner(literals);
    this.#literalIndexes = literalIndexes;
    this.#regexes = new RegexScanner(regexes, before);
    this.#regexIndexes = regexIndexes;
  }

  /** Bytes taken so far. */
  get scanned(): number {
    return this.#scanned;
  }

  /** Whether quiet can decide anything. */
  get caresForQuiet(): boolean {
    return this.#regexIndexes.length > 0;
  }

  /**
   * The first match that these bytes of `chunk` decide. The bytes after `decidedAt` are then still to be given: to this
   * matcher, which begins anew there, or from `end` on to the next one.
   */
  push(chunk: Uint8Array, from = 0, to = chunk.length): Match | undefined {
    const start = this.#scanned;
    const literal = this.#literals.scan(chunk, from, to);
    const regex = this.#regexes.scan(chunk, from, literal?.end ?? to);
    if (!literal && !regex) {
      this.#scanned = start + to - from;
      return undefined;
    }
    const literalMatch = literal && this.#literalMatch(literal.index, start + literal.end - from);
    const regexMatch = regex && { ...regex, index: this.#regexIndexes[regex.index] ?? -1 };
    const match = firstOf(literalMatch, regexMatch);
    this.#scanned = match?.decidedAt ?? start;
    this.#beginAnew();
    return match;
  }

  /** The match in an unfinished line, when nothing more has come for a while. */
  quiet(): Match | undefined {
    const decision = this.#regexes.quiet();
    if (!decision) return undefined;
    this.#beginAnew();
    return { ...decision, index: this.#regexIndexes[decision.index] ?? -1 };
  }

  #beginAnew(): void {
    this.#literals.reset();
    this.#regexes.beginAnew();
  }

  #literalMatch(literalIndex: number, end: number): Match {
    const index = this.#literalIndexes[literalIndex] ?? -1;
    const pattern = this.#patterns[index];
    const length = pattern?.kind === 'literal' ? pattern.bytes.length : 0;
    return { index, start: end - length, end, decidedAt: end };
  }
}

function firstOf(a: Match | undefined, b: Match | undefined): Match | undefined {
  if (!a || !b) return a ?? b;
  const order = a.decidedAt - b.decidedAt || a.end - b.end || a.index - b.index;
  return order <= 0 ? a : b;
}
