/** Where a literal ended: the literal, and how many bytes of the scanned chunk it took to complete it. */
export interface LiteralHit {
  readonly index: number;
  readonly end: number;
}

/**
 * Finds the first of many byte strings to complete in a stream, in any chunking, reading each byte once:
 * an Aho-Corasick automaton over byte classes in one table. Of literals that complete with the same byte the
 * one that is earlier in the list counts. Memory is fixed by the literals.
 */
export class LiteralScanner {
  /** Bytes that occur in no literal share class 0. */
  readonly #classOf = new Uint16Array(256);
  readonly #classes: number;
  /** `#next[state * #classes + class]`, already multiplied by `#classes`. */
  readonly #next: Uint32Array;
  /** By state: index of the literal that ends there, or -1. */
  readonly #endsAt: Int32Array;
  #state = 0;

  constructor(literals: readonly Uint8Array[]) {
    let classes = 1;
    let states = 1;
    for (const literal of literals) {
      if (literal.length === 0) throw new RangeError('expected literals of at least one byte');
      states += literal.length;
      for (const byte of literal) {
        if (this.#classOf[byte] === 0) this.#classOf[byte] = classes++;
      }
    }
    this.#classes = classes;
    this.#next = new Uint32Array(states * classes);
    this.#endsAt = new Int32Array(states).fill(-1);
    this.#addWords(literals);
    this.#linkFailures();
  }

  /** The first literal that completes in `chunk`; the next scan goes on from just after it. */
  scan(chunk: Uint8Array): LiteralHit | undefined {
    const next = this.#next;
    const classOf = this.#classOf;
    const endsAt = this.#endsAt;
    const classes = this.#classes;
    let row = this.#state * classes;
    for (let i = 0; i < chunk.length; i++) {
      row = next[row + (classOf[chunk[i] as number] as number)] as number;
      if (row === 0) continue;
      const index = endsAt[row / classes] as number;
      if (index >= 0) {
        this.#state = 0;
        return { index, end: i + 1 };
      }
    }
    this.#state = row / classes;
    return undefined;
  }

  /** Forgets a literal that has begun. */
  reset(): void {
    this.#state = 0;
  }

  #addWords(literals: readonly Uint8Array[]): void {
    let states = 1;
    literals.forEach((literal, index) => {
      let row = 0;
      for (const byte of literal) {
        const slot = row + (this.#classOf[byte] as number);
        if (this.#next[slot] === 0) this.#next[slot] = states++ * this.#classes;
        row = this.#next[slot] as number;
      }
      const state = row / this.#classes;
      if (this.#endsAt[state] === -1) this.#endsAt[state] = index;
    });
  }

  /** Breadth first, so that the state a mismatch falls back to is complete before it is copied from. */
  #linkFailures(): void {
    const classes = this.#classes;
    const fallback = new Uint32Array(this.#next.length / classes);
    const queue: number[] = [];
    for (let each = 0; each < classes; each++) {
      const row = this.#next[each] as number;
      if (row !== 0) queue.push(row);
    }
    for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
      const state = row / classes;
      const back = fallback[state] as number;
      this.#inheritEnd(state, back / classes);
      for (let each = 0; each < classes; each++) {
        const onward = this.#next[row + each] as number;
        const fromBack = this.#next[back + each] as number;
        if (onward === 0) {
          this.#next[row + each] = fromBack;
        } else {
          fallback[onward / classes] = fromBack;
          queue.push(onward);
        }
      }
    }
  }

  #inheritEnd(state: number, back: number): void {
    const own = this.#endsAt[state] as number;
    const inherited = this.#endsAt[back] as number;
    if (inherited >= 0 && (own < 0 || inherited < own)) this.#endsAt[state] = inherited;
  }
}
