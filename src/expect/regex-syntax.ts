/** The syntax of regular expressions, read so that each can be run over bytes, and refused with the place of its fault. */

import { parseSet, type SetSyntax } from './regex-set.ts';

/** One piece of a pattern. `source` is what stands for it in a pattern over latin1 text; `at` is where it stood. */
export type RegexNode =
  | { readonly kind: 'bytes'; readonly bytes: string; readonly source: string }
  | ({ readonly kind: 'set' } & SetSyntax)
  | { readonly kind: 'assertion'; readonly source: string }
  | { readonly kind: 'look'; readonly open: string; readonly body: RegexNode; readonly at: number }
  | { readonly kind: 'reference'; readonly source: string; readonly at: number }
  | { readonly kind: 'group'; readonly open: string; readonly body: RegexNode }
  | { readonly kind: 'sequence'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly branches: readonly RegexNode[] }
  | {
      readonly kind: 'repeat';
      readonly body: RegexNode;
      readonly min: number;
      /** Infinity where there is no most. */
      readonly max: number;
      readonly isLazy: boolean;
      readonly at: number;
    };

/** What is wrong with a pattern, and at which of its characters, from 0. */
export class RegexSyntaxError extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.name = 'RegexSyntaxError';
    this.at = at;
  }
}

/** Nobody writes that by hand, and everything that walks a pattern calls itself. */
const MAX_DEPTH = 200;

/** Far more than a regex ever sees; V8 takes numbers without end for something else. */
const MAX_COUNT = 1_000_000;

/** Source: ECMA-262, 22.2.1. White space is ASCII's: others are parts of characters in UTF-8. */
const SIMPLE_SETS: Readonly<Record<string, SetSyntax>> = {
  d: { source: '\\d', takesNewline: false },
  D: { source: '\\D', takesNewline: true },
  w: { source: '\\w', takesNewline: false },
  W: { source: '\\W', takesNewline: true },
  s: { source: '[\\t-\\r ]', takesNewline: true },
  S: { source: '[^\\t-\\r ]', takesNewline: false },
};

const CONTROL_ESCAPES: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  0: '\0',
};

/**
 * Reads a pattern of JavaScript without flags. Stricter than V8 where that guesses: an escape that means nothing, or a
 * reference to no group, is an error.
 *
 * @throws {RegexSyntaxError}
 */
export function parseRegex(pattern: string): RegexNode {
  const parser = new RegexParser(pattern);
  return parser.parse();
}

class RegexParser {
  readonly #pattern: string;
  readonly #names = new Set<string>();
  readonly #references: { readonly to: number | string; readonly at: number }[] = [];
  #groups = 0;
  #depth = 0;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  parse(): RegexNode {
    const node = this.#choice();
    if (this.#at < this.#pattern.length) throw new RegexSyntaxError('unmatched )', this.#at);
    for (const { to, at } of this.#references) {
      const exists = typeof to === 'number' ? to <= this.#groups : this.#names.has(to);
      if (!exists) throw new RegexSyntaxError(`there is no group ${to}`, at);
    }
    return node;
  }

  #choice(): RegexNode {
    const branches = [this.#sequence()];
    while (this.#take(/\|/y)) branches.push(this.#sequence());
    return branches.length === 1 && branches[0] ? branches[0] : { kind: 'choice', branches };
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (this.#at < this.#pattern.length && !'|)'.includes(this.#pattern.charAt(this.#at))) {
      items.push(this.#repeated(this.#at, this.#atom()));
    }
    return { kind: 'sequence', items };
  }

  #repeated(at: number, body: RegexNode): RegexNode {
    const found = this.#take(/([*+?])(\??)|\{(\d+)(?:(,)(\d*))?\}(\??)/y);
    if (!found) return body;
    if (body.kind === 'assertion') throw new RegexSyntaxError('nothing to repeat', at);
    const [, sign, lazySign, least = '', comma, most, lazy] = found;
    const isLazy = (lazySign ?? lazy) === '?';
    if (sign) return { kind: 'repeat', body, ...countsOf(sign), isLazy, at };
    const min = Number(least);
    const max = comma === undefined ? min : most ? Number(most) : Number.POSITIVE_INFINITY;
    if (Math.max(min, most ? max : 0) > MAX_COUNT)
      throw new RegexSyntaxError(`a count over ${MAX_COUNT} in {}`, at);
    if (max < min) throw new RegexSyntaxError('numbers out of order in {}', at);
    return { kind: 'repeat', body, min, max, isLazy, at };
  }

  #atom(): RegexNode {
    const at = this.#at;
    const simple = this.#take(/[\^$.]|\\[bB]/y)?.[0];
    if (simple === '.') return { kind: 'set', source: '.', takesNewline: false };
    if (simple !== undefined) return { kind: 'assertion', source: simple };
    const character = this.#pattern.charAt(at);
    if (character === '(') return this.#group();
    if (character === '[') return this.#set();
    if (character === '\\') return this.#escape();
    if ('*+?'.includes(character)) throw new RegexSyntaxError('nothing to repeat', at);
    if (/^\{\d+(?:,\d*)?\}/.test(this.#pattern.slice(at)))
      throw new RegexSyntaxError('nothing to repeat', at);
    const whole = this.#take(/./suy)?.[0] ?? '';
    return literal(whole, whole === '{' ? '\\{' : whole);
  }

  #group(): RegexNode {
    const at = this.#at;
    const found = this.#take(/\((?:\?(?:[:=!]|<[=!]|<([A-Za-z_$][\w$]*)>))?/y);
    const open = found?.[0] ?? '(';
    const name = found?.[1];
    if (open === '(' && this.#pattern[this.#at] === '?') {
      throw new RegexSyntaxError('unknown kind of group', at);
    }
    if (name !== undefined && this.#names.has(name))
      throw new RegexSyntaxError(`two groups named ${name}`, at);
    if (name !== undefined) this.#names.add(name);
    if (open === '(' || name !== undefined) this.#groups++;
    if (++this.#depth > MAX_DEPTH) throw new RegexSyntaxError(`over ${MAX_DEPTH} groups in each other`, at);
    const body = this.#choice();
    this.#depth--;
    if (!this.#take(/\)/y)) throw new RegexSyntaxError('unterminated group', at);
    return /[=!]$/.test(open) ? { kind: 'look', open, body, at } : { kind: 'group', open, body };
  }

  #set(): RegexNode {
    const at = this.#at;
    const token = this.#take(/\[(?:\\.|[^\]\\])*\]/suy)?.[0];
    if (token === undefined) throw new RegexSyntaxError('unterminated set', at);
    try {
      return { kind: 'set', ...parseSet(token) };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new RegexSyntaxError(error.message, at);
    }
  }

  #escape(): RegexNode {
    const at = this.#at;
    const wide = this.#take(
      /\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})/y,
    );
    if (wide) {
      const units = [wide[1] ?? wide[3], wide[2]].flatMap((hex) => (hex ? [Number.parseInt(hex, 16)] : []));
      return literal(String.fromCharCode(...units), wide[0]);
    }
    const byte = this.#take(/\\x([0-9a-fA-F]{2})/y);
    if (byte)
      return {
        kind: 'bytes',
        bytes: String.fromCharCode(Number.parseInt(byte[1] ?? '', 16)),
        source: byte[0],
      };
    const reference = this.#take(/\\(?:([1-9]\d*)|k<([^>]*)>)/y);
    if (reference) {
      this.#references.push({ to: reference[1] ? Number(reference[1]) : (reference[2] ?? ''), at });
      return { kind: 'reference', source: reference[0], at };
    }
    const letter = this.#take(/\\([dDwWsStnvfr]|0(?!\d))/y)?.[1];
    const set = SIMPLE_SETS[letter ?? ''];
    if (set) return { kind: 'set', ...set };
    const control = CONTROL_ESCAPES[letter ?? ''];
    if (control !== undefined) return { kind: 'bytes', bytes: control, source: `\\${letter}` };
    const other = this.#take(/\\([^A-Za-z0-9])/suy);
    if (other) return literal(other[1] ?? '', other[0]);
    const shown = this.#pattern.slice(at, at + 2);
    throw new RegexSyntaxError(shown === '\\' ? '\\ at the end' : `unknown escape ${shown}`, at);
  }

  #take(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#pattern);
    if (!found) return undefined;
    this.#at += found[0].length;
    return found;
  }
}

function countsOf(sign: string): { readonly min: number; readonly max: number } {
  if (sign === '?') return { min: 0, max: 1 };
  return { min: sign === '+' ? 1 : 0, max: Number.POSITIVE_INFINITY };
}

/** A character beyond ASCII is a group of its UTF-8 bytes, so that repeats apply to all of it. */
function literal(character: string, source = character): RegexNode {
  const bytes = Buffer.from(character, 'utf8').toString('latin1');
  return { kind: 'bytes', bytes, source: bytes.length === 1 ? source : `(?:${bytes})` };
}
