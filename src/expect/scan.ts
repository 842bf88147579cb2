import type { ByteBacklog } from './byte-backlog.ts';
import { type Match, Matcher, type Pattern } from './matcher.ts';

/**
 * What is looked at in one go. A matcher of regexes takes in all that it is shown before it knows where a match ends:
 * shown the whole of a long backlog, each of many steps would. As much as a read of a tty gives.
 */
const PIECE_BYTES = 4096;

/** A matcher at its place in the stream. */
export class Scan {
  readonly matcher: Matcher;
  readonly #start: number;
  readonly #push = (bytes: Uint8Array, from: number, to: number): Match | undefined =>
    this.matcher.push(bytes, from, to);

  constructor(patterns: readonly Pattern[], start: number, before?: number) {
    this.matcher = new Matcher(patterns, before);
    this.#start = start;
  }

  /** Looks at what it has not seen, up to `until`; offsets are the stream's. */
  advance(backlog: ByteBacklog, until: number): Match | undefined {
    for (let from = this.#start + this.matcher.scanned; from < until; from += PIECE_BYTES) {
      const match = backlog.read(from, Math.min(until, from + PIECE_BYTES), this.#push);
      if (match) return this.#placed(match);
    }
    return undefined;
  }

  quiet(): Match | undefined {
    return this.#placed(this.matcher.quiet());
  }

  #placed(match: Match | undefined): Match | undefined {
    if (!match) return undefined;
    const start = this.#start;
    return {
      ...match,
      start: start + match.start,
      end: start + match.end,
      decidedAt: start + match.decidedAt,
    };
  }
}
