/** Regular expressions over bytes: UTF-8 patterns, matched on latin1 text in which one character is one byte. */

import { setFlagsFromString } from 'node:v8';
import { createContext, Script } from 'node:vm';
import { RigError, reasonOf } from '../base/errors.ts';

/** Longest that one evaluation may take, where V8 cannot promise an end by itself. */
const EVALUATION_LIMIT_MS = 1000;

/** `l` is V8's own: the linear engine or an error. */
const LINEAR_FLAGS = 'gml';

/** Where it matched, as offsets into the text. */
export interface RegexHit {
  readonly start: number;
  readonly end: number;
}

/** One compiled pattern. `^` and `$` are the ends of lines; `.` and classes are single bytes. */
export class ByteRegex {
  readonly source: string;
  /**
   * Whether a text without a match has no match in any part of it either: then many lines are dismissed in one go.
   * Not so where the pattern looks at what is not there.
   */
  readonly isMonotonic: boolean;
  readonly #regex: RegExp;
  readonly #evaluate: (text: string) => RegExpExecArray | null;

  /** @throws {RigError} blame `usage`, naming `what`, for a bad pattern or one that matches no text at all */
  constructor(source: string, what: string) {
    this.source = source;
    this.isMonotonic = !/\$|\\b|\\B|\(\?!|\(\?<!/.test(source);
    const encoded = encodePattern(source, what);
    enableLinearEngine();
    try {
      this.#regex = new RegExp(encoded, 'gm');
    } catch (error) {
      const reason = reasonOf(error).replace(/^Invalid regular expression: .*: /s, '');
      throw new RigError('usage', `${what}: ${reason} in regular expression ${JSON.stringify(source)}`, {
        cause: error,
      });
    }
    this.#evaluate = isLinear(encoded) ? (text) => this.#regex.exec(text) : limited(this.#regex, what);
    if (this.find('', 0)) {
      throw new RigError(
        'usage',
        `${what}: expected a regular expression that needs some text, but ${JSON.stringify(source)} matches nothing at all`,
      );
    }
  }

  /** The first match that begins at `from` or later; what is before only tells whether a line begins there. */
  find(text: string, from: number): RegexHit | undefined {
    this.#regex.lastIndex = from;
    const match = this.#evaluate(text);
    return match ? { start: match.index, end: match.index + match[0].length } : undefined;
  }
}

/**
 * V8 falls back to an engine whose time is linear in the text when the backtracking one takes too many turns.
 * Only patterns compiled after this are safe.
 */
function enableLinearEngine(): void {
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  setFlagsFromString('--enable-experimental-regexp-engine');
}

/** The linear engine takes no look-around, back references and long counted repeats; its flag tells. */
function isLinear(encoded: string): boolean {
  try {
    return new RegExp(encoded, LINEAR_FLAGS) instanceof RegExp;
  } catch {
    return false; // a valid pattern, as the caller has made sure, that this engine does not take
  }
}

/** Evaluates with a watchdog, which costs some 60 µs each time. */
function limited(regex: RegExp, what: string): (text: string) => RegExpExecArray | null {
  const sandbox = { regex, text: '' };
  const context = createContext(sandbox);
  const script = new Script('regex.exec(text)');
  return (text) => {
    sandbox.text = text;
    try {
      return script.runInContext(context, { timeout: EVALUATION_LIMIT_MS }) as RegExpExecArray | null;
    } catch (error) {
      if (!isTimeout(error)) throw error;
      throw new RigError(
        'usage',
        `${what}: ${JSON.stringify(regex.source)} took over ${EVALUATION_LIMIT_MS} ms on ${text.length} bytes; ` +
          'write it without nested repeats, look-around and back references',
        { cause: error },
      );
    }
  };
}

/** Made inside the sandbox, so it is none of our errors. */
function isTimeout(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
}

/** The pattern with every character beyond ASCII as a group of its UTF-8 bytes, so that repeats apply to all of it. */
function encodePattern(source: string, what: string): string {
  let encoded = '';
  let rest = source;
  while (rest.length > 0) {
    const token = /^(?:\\u[0-9a-fA-F]{4}|\\.|\[(?:\\.|[^\]\\])*\]|.)/su.exec(rest)?.[0] ?? rest;
    encoded += token.startsWith('[') && token.length > 1 ? encodeClass(token, what) : encodeCharacter(token);
    rest = rest.slice(token.length);
  }
  return encoded;
}

function encodeCharacter(token: string): string {
  const code =
    token.startsWith('\\u') && token.length === 6 ? Number.parseInt(token.slice(2), 16) : undefined;
  const character = code === undefined ? token : String.fromCharCode(code);
  if (isAscii(character)) return token;
  const bare = character.startsWith('\\') ? character.slice(1) : character;
  return `(?:${Buffer.from(bare, 'utf8').toString('latin1')})`;
}

/** `[aä]` becomes `(?:[a]|ä)`; ranges and negation over several bytes have no such form. */
function encodeClass(token: string, what: string): string {
  const wide = token.match(/\\u(?!00[0-7])[0-9a-fA-F]{4}|\P{ASCII}/gu) ?? [];
  if (wide.length === 0) return token;
  const isSimple = !token.startsWith('[^') && !/-\P{ASCII}|\P{ASCII}-(?!\])/u.test(token);
  if (!isSimple) {
    throw new RigError(
      'usage',
      `${what}: characters beyond ASCII cannot stand in a range or a negated class (${token}); write (?:ä|ö) instead`,
    );
  }
  const narrow = wide.reduce((text, each) => text.replace(each, ''), token);
  const branches = wide.map((each) => encodeCharacter(each));
  return `(?:${[...(narrow === '[]' ? [] : [narrow]), ...branches].join('|')})`;
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text, 'utf8') === text.length;
}
