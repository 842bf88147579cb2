/** Patterns over latin1 text whose time is bounded by the length of the text, whatever it holds. */

import { setFlagsFromString } from 'node:v8';
import { statesOf, waysOf } from './regex-facts.ts';
import type { RegexNode } from './regex-syntax.ts';

/** `l` is V8's own: the linear engine or an error. */
const LINEAR_FLAGS = 'gml';

/** From one place of a text the backtracking engine tries that many in the time in which the linear one gets on by one. */
const MAX_WAYS = 4000;

/** The linear engine looks at each byte once for each state: at worst a second for the 4 KiB that a regex sees. */
const MAX_STATES = 1200;

/** Of what is longer, written out as it is, V8's backtracking engine makes so much code that the process may end by it. */
const MAX_QUICK_SOURCE = 1000;

/** No text is longer than what one read brings and what is kept before it. */
const LONGEST_TEXT = 1024 * 1024;

/**
 * V8's backtracking engine is a hundred times faster than its linear one on most lines, and takes for ever on others;
 * it is used where the pattern and the length of the text rule that out.
 */
export class LinearRegex {
  readonly #linear: RegExp;
  readonly #quick: RegExp;
  /** How long a text may be for the backtracking engine. */
  readonly #quickLength: number;

  /** `node` is what was emitted, or tells more; undefined where the linear engine does not take it. */
  static of(source: string | undefined, node: RegexNode): LinearRegex | undefined {
    if (source === undefined || statesOf(node) > MAX_STATES) return undefined;
    enableLinearEngine();
    try {
      return new LinearRegex(new RegExp(source, LINEAR_FLAGS), new RegExp(source, 'gm'), node);
    } catch {
      return undefined; // a valid pattern, but not for this engine
    }
  }

  private constructor(linear: RegExp, quick: RegExp, node: RegexNode) {
    this.#linear = linear;
    this.#quick = quick;
    this.#quickLength =
      quick.source.length > MAX_QUICK_SOURCE ? -1 : longestWithin(MAX_WAYS, (length) => waysOf(node, length));
  }

  /** What to run on a text of which no match takes more than `length`; it compiles when it is first run. */
  engineFor(length: number): RegExp {
    return length <= this.#quickLength ? this.#quick : this.#linear;
  }
}

/** Only patterns compiled after this can be linear. */
function enableLinearEngine(): void {
  setFlagsFromString('--enable-experimental-regexp-engine');
}

/** The greatest length at which what grows with it is at most `limit`; -1 when there is none. */
function longestWithin(limit: number, grows: (length: number) => number): number {
  let [within, beyond] = [-1, LONGEST_TEXT];
  while (beyond - within > 1) {
    const middle = Math.floor((within + beyond) / 2);
    if (grows(middle) <= limit) within = middle;
    else beyond = middle;
  }
  return within;
}
