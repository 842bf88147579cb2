import type { ByteBacklog } from './byte-backlog.ts';
import { type Match, Matcher, type Pattern } from './matcher.ts';

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
    const from = this.#start + this.matcher.scanned;
    if (from >= until) return undefined;
    const match = backlog.read(from, until, this.#push);
    return match && this.#placed(match);
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
