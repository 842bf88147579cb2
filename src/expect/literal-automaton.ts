/** Which byte strings end at a byte of a stream, whatever came before: Aho and Corasick's automaton, in one table. */

/**
 * Walked by its users, one look-up a byte: `row = next[row + classOf[byte]]`, from row 0. A row from `firstEnd` on is
 * one where a literal ends; `endsAt(row)` tells which. Memory is fixed by the literals.
 */
export class LiteralAutomaton {
  /** Bytes that occur in no literal share class 0. */
  readonly classOf = new Uint8Array(256);
  readonly next: Uint32Array;
  readonly firstEnd: number;
  readonly #shift: number;
  readonly #ends: readonly (readonly number[])[];

  /** @throws {RangeError} for a literal without bytes */
  constructor(literals: readonly Uint8Array[]) {
    const trie = new Trie(literals);
    const classes = this.#numberClasses(literals);
    this.#shift = Math.ceil(Math.log2(classes));
    // Those where something ends come last, so that one comparison tells.
    const onTheWay = trie.states.filter(({ ends }) => ends.length === 0);
    const atAnEnd = trie.states.filter(({ ends }) => ends.length > 0);
    [...onTheWay, ...atAnEnd].forEach((state, index) => {
      state.row = index << this.#shift;
    });
    this.#ends = atAnEnd.map(({ ends }) => ends);
    this.firstEnd = onTheWay.length << this.#shift;
    this.next = new Uint32Array(trie.states.length << this.#shift);
    for (const state of trie.states) this.#fillRow(state);
  }

  /** Indexes of the literals that end there, in order. */
  endsAt(row: number): readonly number[] {
    return this.#ends[(row - this.firstEnd) >> this.#shift] ?? [];
  }

  #numberClasses(literals: readonly Uint8Array[]): number {
    const bytes = [...new Set(literals.flatMap((literal) => [...literal]))];
    // With every byte in use there is no class of the others.
    const first = bytes.length < 256 ? 1 : 0;
    bytes.forEach((byte, index) => {
      this.classOf[byte] = first + index;
    });
    return bytes.length + first;
  }

  /** Breadth first: the row that a mismatch falls back to is whole before it is copied from. */
  #fillRow({ row, back, onward }: State): void {
    if (back) this.next.copyWithin(row, back.row, back.row + (1 << this.#shift));
    for (const [byte, state] of onward) this.next[row + (this.classOf[byte] ?? 0)] = state.row;
  }
}

interface State {
  readonly onward: Map<number, State>;
  /** Where a mismatch goes on: the longest end of what was read that begins some literal. */
  back: State | undefined;
  ends: number[];
  row: number;
}

class Trie {
  /** Breadth first; the first is where everything begins. */
  readonly states: readonly State[];

  constructor(literals: readonly Uint8Array[]) {
    const root = newState();
    literals.forEach((literal, index) => {
      if (literal.length === 0) throw new RangeError('expected literals of at least one byte');
      addWord(root, literal, index);
    });
    this.states = linked(root);
  }
}

function newState(): State {
  return { onward: new Map(), back: undefined, ends: [], row: 0 };
}

function addWord(root: State, word: Uint8Array, index: number): void {
  let state = root;
  for (const byte of word) {
    const known = state.onward.get(byte);
    const onward = known ?? newState();
    if (!known) state.onward.set(byte, onward);
    state = onward;
  }
  state.ends.push(index);
}

function linked(root: State): readonly State[] {
  const states = [root];
  for (const state of states) {
    for (const [byte, onward] of state.onward) {
      onward.back = fallbackOf(state, byte) ?? root;
      if (onward.back.ends.length > 0) {
        onward.ends = [...onward.ends, ...onward.back.ends].sort((a, b) => a - b);
      }
      states.push(onward);
    }
  }
  return states;
}

function fallbackOf(state: State, byte: number): State | undefined {
  for (let back = state.back; back; back = back.back) {
    const onward = back.onward.get(byte);
    if (onward) return onward;
  }
  return undefined;
}
