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
    for (let at = from; at < to; at++) {
      row = next[row + (classOf[chunk[at] as number] as number)] as number;
      if (row < firstEnd) continue;
      this.#row = 0;
      return { index: this.#automaton.endsAt(row)[0] ?? -1, end: at + 1 };
    }
    this.#row = row;
    return undefined;
  }

  /** Forgets a literal that has begun. */
  reset(): void {
    this.#row = 0;
  }
}
