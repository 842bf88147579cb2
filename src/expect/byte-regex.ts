/** Regular expressions over bytes: UTF-8 patterns, matched on latin1 text in which one character is one byte. */

import { RigError, reasonOf } from '../base/errors.ts';
import { LinearRegex } from './linear-regex.ts';
import { emitAsGiven, emitRegex, type Form } from './regex-emit.ts';
import { minLength, nodesOf, requiredWords, staysInLine } from './regex-facts.ts';
import { type RawHit, rawHit } from './regex-hit.ts';
import { parseRegex, type RegexNode, RegexSyntaxError } from './regex-syntax.ts';

/** Of a pattern, in a message. */
const SHOWN_CHARACTERS = 120;

/** What the groups of a regex took, as bytes; undefined for a group that took no part. */
export interface Captures {
  /** By number; 0 is the whole match. */
  readonly groups: readonly (Uint8Array | undefined)[];
  readonly named: Readonly<Record<string, Uint8Array | undefined>>;
}

/** Where it matched, as offsets into the text. */
export interface RegexHit {
  readonly start: number;
  readonly end: number;
  readonly captures: Captures;
}

/** Runs patterns whose time nobody can bound, and gives up at a deadline. */
export interface UnsafeEngine {
  /**
   * The first match of `source` in `text` from `from` on. Stops the process until it is known.
   *
   * @throws {RigError} blame `usage`, beginning with `what`, when it takes too long
   */
  find(source: string, text: string, from: number, what: string): RawHit | undefined;
}

/** What a scanner of a stream has to know of a regex. */
export interface StreamRegex {
  readonly source: string;
  /** No match goes past the end of a line, or depends on what is beyond it. */
  readonly staysInLine: boolean;
  /** Texts one of which every match holds; undefined when there are none. */
  readonly requiredWords: readonly Uint8Array[] | undefined;
  /** The first match that begins at `from` or later; what is before only tells whether a line begins there. */
  find(text: string, from: number): RegexHit | undefined;
  /** False when neither `text` nor any part of it that begins at `from` or later can match. */
  couldMatch(text: string, from: number): boolean;
}

/** One compiled pattern. `^` and `$` are the ends of lines; `.` and classes are single bytes. */
export class ByteRegex implements StreamRegex {
  readonly source: string;
  readonly staysInLine: boolean;
  readonly requiredWords: readonly Uint8Array[] | undefined;
  readonly #find: (text: string, from: number) => RawHit | undefined;
  /** Finds something wherever the pattern would in any part of the text; undefined when nothing so simple exists. */
  readonly #loose: LinearRegex | undefined;

  /**
   * Without an `unsafe` engine, a pattern that could take for ever is refused; `never` where nobody can ask for one.
   *
   * @throws {RigError} blame `usage`, naming `what`, for a bad pattern or one that matches no text at all
   */
  constructor(source: string, what: string, unsafe?: UnsafeEngine | 'never') {
    this.source = source;
    const node = parsed(source, what);
    if (minLength(node) === 0) {
      throw new RigError(
        'usage',
        `${what}: expected a regular expression that needs some text, but ${shownSource(source)} matches nothing at all`,
      );
    }
    const linear = compileLinear(node);
    const engine = unsafe === 'never' ? undefined : unsafe;
    if (!linear && !engine)
      throw notLinear(node, source, what, unsafe === 'never' ? '' : ', or give --unsafe-regex');
    this.staysInLine = linear !== undefined && staysInLine(node);
    this.requiredWords = requiredWords(node)?.map((word) => Buffer.from(word, 'latin1'));
    this.#loose = this.staysInLine ? linear : LinearRegex.of(emitRegex(node, 'loose'), node);
    this.#find = linear
      ? (text, from) => rawHit(linear.engineFor(text.length), text, from)
      : unsafeFind(node, source, what, engine);
  }

  find(text: string, from: number): RegexHit | undefined {
    const hit = this.#find(text, from);
    if (!hit) return undefined;
    const length = hit.groups[0]?.length ?? 0;
    return { start: hit.start, end: hit.start + length, captures: capturesOf(hit) };
  }

  couldMatch(text: string, from: number): boolean {
    if (!this.#loose) return true;
    const regex = this.#loose.engineFor(this.staysInLine ? longestLine(text) : text.length);
    regex.lastIndex = from;
    return regex.test(text);
  }
}

/**
 * A pattern of a line that a word announces, compiled when the word comes: most that are armed never see theirs.
 * `word` is ASCII.
 */
export class AnnouncedRegex implements StreamRegex {
  readonly source: string;
  readonly staysInLine = true;
  readonly requiredWords: readonly Uint8Array[];
  readonly #what: string;
  #compiled: ByteRegex | undefined;

  constructor(source: string, word: string, what: string) {
    this.source = source;
    this.requiredWords = [Buffer.from(word, 'latin1')];
    this.#what = what;
  }

  find(text: string, from: number): RegexHit | undefined {
    return this.compiled.find(text, from);
  }

  couldMatch(text: string, from: number): boolean {
    return this.compiled.couldMatch(text, from);
  }

  /** @throws {Error} for a pattern that leaves its line, or can do without the word: it would be missed */
  get compiled(): ByteRegex {
    if (this.#compiled) return this.#compiled;
    const compiled = new ByteRegex(this.source, this.#what);
    const [word = ''] = this.requiredWords.map((bytes) => Buffer.from(bytes).toString('latin1'));
    const holdsWord = compiled.requiredWords?.some((bytes) => Buffer.from(bytes).includes(word));
    if (!compiled.staysInLine || !holdsWord) throw new Error(`${this.#what}: does not always hold "${word}"`);
    this.#compiled = compiled;
    return compiled;
  }
}

function capturesOf({ groups, named }: RawHit): Captures {
  const bytes = (text: string | undefined): Uint8Array | undefined =>
    text === undefined ? undefined : Buffer.from(text, 'latin1');
  return {
    groups: groups.map((text) => bytes(text)),
    named: Object.fromEntries(Object.entries(named).map(([name, text]) => [name, bytes(text)])),
  };
}

function parsed(source: string, what: string): RegexNode {
  try {
    return parseRegex(source);
  } catch (error) {
    if (!(error instanceof RegexSyntaxError)) throw error;
    throw new RigError('usage', `${what}: ${error.message} ${placeIn(source, error.at)}`, { cause: error });
  }
}

function placeIn(source: string, at: number): string {
  return `at character ${at + 1} of ${shownSource(source)}`;
}

function compileLinear(node: RegexNode): LinearRegex | undefined {
  const form = (form: Form): LinearRegex | undefined => LinearRegex.of(emitRegex(node, form), node);
  return form('as given') ?? form('written out');
}

function longestLine(text: string): number {
  let longest = 0;
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const next = newline < 0 ? text.length : newline + 1;
    longest = Math.max(longest, next - at);
    at = next;
  }
  return longest;
}

/** A pattern that is read from a file may be of any length. */
function shownSource(source: string): string {
  return JSON.stringify(source.length > SHOWN_CHARACTERS ? `${source.slice(0, SHOWN_CHARACTERS)}…` : source);
}

/** The first thing in the pattern that asks for more than one look at each byte. */
function notLinear(node: RegexNode, source: string, what: string, otherwise: string): RigError {
  const nodes = [...nodesOf(node)];
  const culprit = nodes.find(({ kind }) => kind === 'look' || kind === 'reference');
  const repeat = nodes.find((each) => each.kind === 'repeat' && countOf(each) > 1);
  const [reason, at] =
    culprit?.kind === 'look'
      ? [`a look-${/</.test(culprit.open) ? 'behind' : 'ahead'}`, culprit.at]
      : culprit?.kind === 'reference'
        ? ['a back reference', culprit.at]
        : repeat?.kind === 'repeat'
          ? ['so large a repeat', repeat.at]
          : ['so long a pattern', 0];
  return new RigError(
    'usage',
    `${what}: ${reason} ${placeIn(source, at)} cannot be matched in bounded time; write it without${otherwise}`,
  );
}

function countOf({ min, max }: RegexNode & { readonly kind: 'repeat' }): number {
  return Number.isFinite(max) ? max : min;
}

function unsafeFind(
  node: RegexNode,
  source: string,
  what: string,
  unsafe: UnsafeEngine | undefined,
): (text: string, from: number) => RawHit | undefined {
  const encoded = emitAsGiven(node);
  try {
    new RegExp(encoded, 'gm');
  } catch (error) {
    throw new RigError('usage', `${what}: ${reasonOf(error)} in ${shownSource(source)}`, { cause: error });
  }
  return (text, from) => unsafe?.find(encoded, text, from, `${what}: ${shownSource(source)}`);
}
