import { LiteralAutomaton } from './literal-automaton.ts';

/** Where a literal ended: the literal, and the offset into the scanned bytes just past it. */
export interface LiteralHit {
  readonly index: number;
  readonly end: number;
}

/**
 * Finds the first of many byte strings to complete in a stream, in any chunking, reading each byte once. Of literals
 * that complete with the same byte the one that is earlier in the list counts.
 */
export class LiteralScanner {
  readonly #automaton: LiteralAutomaton;
  readonly #isEmpty: boolean;
  #row = 0;

  constructor(literals: readonly Uint8Array[]) {
    this.#isEmpty = literals.length === 0;
    this.#automaton = new LiteralAutomaton(literals);
  }

  /** The first literal that completes in these bytes of `chunk`; the next scan goes on from just after it. */
  scan(chunk: Uint8Array, from = 0, to = chunk.length): LiteralHit | undefined {
    if (this.#isEmpty) return undefined;
    const { next, classOf, firstEnd } = this.#automaton;
    let row = this.#row;
    let at = from;
    // Left by `break`: what is done at a hit, done in here, would make V8 run the loop at a third of the speed.
    for (; at < to; at++) {
      row = next[row + (classOf[chunk[at] as number] as number)] as number;
      if (row >= firstEnd) break;
    }
    this.#row = at < to ? 0 : row;
    return at < to ? { index: this.#automaton.endsAt(row)[0] ?? -1, end: at + 1 } : undefined;
  }

  /** Forgets a literal that has begun. */
  reset(): void {
    this.#row = 0;
  }
}
