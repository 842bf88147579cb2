import type { StreamRegex } from './byte-regex.ts';
import { LiteralAutomaton } from './literal-automaton.ts';

const NEVER = Number.NEGATIVE_INFINITY;

/** Where, in a stream, words were last seen that a match of a regex must hold. */
export class WordSightings {
  readonly #regexes: readonly StreamRegex[];
  readonly #windowBytes: number;
  readonly #automaton: LiteralAutomaton;
  /** By word: whose it is. */
  readonly #regexOf: readonly number[];
  /** By regex: offset just past the last sighting; Infinity for one that no word announces. */
  readonly #seenAt: number[];
  /** Of the sightings that count. */
  #latest = NEVER;
  #row = 0;

  /** A sighting counts for as long as the match may lie within `windowBytes`, and within its line if it must. */
  constructor(regexes: readonly StreamRegex[], windowBytes: number) {
    this.#regexes = regexes;
    this.#windowBytes = windowBytes;
    const words = regexes.flatMap(({ requiredWords }, index) =>
      (requiredWords ?? []).map((word) => ({ word, index })),
    );
    this.#automaton = new LiteralAutomaton(words.map(({ word }) => word));
    this.#regexOf = words.map(({ index }) => index);
    this.#seenAt = regexes.map(({ requiredWords }) => (requiredWords ? NEVER : Number.POSITIVE_INFINITY));
  }

  /** Reads on through these bytes of `chunk`, the first of which is at `offset` of the stream. */
  look(chunk: Uint8Array, from: number, to: number, offset: number): void {
    for (let at = from; at < to; ) {
      at = this.#readToSighting(chunk, at, to);
      if (this.#isSighting) this.#note(offset + at - from);
    }
  }

  /** Reads on, when there is nothing to be seen in these bytes; otherwise they are still to be read. */
  passes(chunk: Uint8Array, from: number, to: number): boolean {
    const row = this.#row;
    if (this.#readToSighting(chunk, from, to) === to && !this.#isSighting) return true;
    this.#row = row;
    return false;
  }

  /** Whether any word at all counts for an evaluation at `offset`. */
  isAnyRecent(offset: number): boolean {
    return this.#latest > offset - this.#windowBytes;
  }

  /** Whether that regex can match in a text that ends at `offset`. */
  isRecent(index: number, offset: number): boolean {
    return (this.#seenAt[index] ?? NEVER) > offset - this.#windowBytes;
  }

  /** What was seen in the line that has ended announces nothing in the next one, for those that stay in theirs. */
  endLine(): void {
    if (this.#latest !== NEVER) this.#forget((regex) => regex.staysInLine);
  }

  /** Nothing that was seen counts any more, nor a word that has begun. */
  reset(): void {
    this.#row = 0;
    this.#forget(() => true);
  }

  /** Just past the next byte at which a word ends; `to` when there is none. */
  #readToSighting(chunk: Uint8Array, from: number, to: number): number {
    if (this.#regexOf.length === 0) return to;
    const { next, classOf, firstEnd } = this.#automaton;
    let row = this.#row;
    let at = from;
    while (at < to) {
      row = next[row + (classOf[chunk[at++] as number] as number)] as number;
      if (row >= firstEnd) break;
    }
    this.#row = row;
    return at;
  }

  get #isSighting(): boolean {
    return this.#row >= this.#automaton.firstEnd;
  }

  #note(offset: number): void {
    this.#latest = offset;
    for (const word of this.#automaton.endsAt(this.#row)) this.#seenAt[this.#regexOf[word] ?? 0] = offset;
  }

  #forget(isOver: (regex: StreamRegex) => boolean): void {
    this.#latest = NEVER;
    for (const [index, regex] of this.#regexes.entries()) {
      if (!regex.requiredWords) continue;
      if (isOver(regex)) this.#seenAt[index] = NEVER;
      this.#latest = Math.max(this.#latest, this.#seenAt[index] ?? NEVER);
    }
  }
}
