/** Texts of a script with `${name}` in them; `$${` stands for `${` itself. */

import { RigError } from '../base/errors.ts';
import type { Variables } from './script.ts';

/** What a variable has been given before the script begins. */
export interface Given {
  /** Never shown. */
  readonly isSecret: boolean;
  value(filler: Filler): Uint8Array;
}

/** A text whose variables have their values. */
export interface Filled<T> {
  readonly value: T;
  /** Undefined when a secret is in it. */
  readonly showable: true | undefined;
}

/** Stands for each captured text as long as nothing is captured. */
const PLACEHOLDER = Buffer.from('x');

/** Puts values in the place of variables, and remembers which captured ones it was asked for. */
export class Filler {
  /** Names that are not given: regexes have to capture them. */
  readonly uses = new Set<string>();
  readonly #given: ReadonlyMap<string, Given>;
  readonly #captured: Variables | undefined;

  /** Without `captured` every captured text is `x`. */
  constructor(given: ReadonlyMap<string, Given>, captured?: Variables) {
    this.#given = given;
    this.#captured = captured;
  }

  /** Whether no placeholder was needed. */
  get isComplete(): boolean {
    return this.#captured !== undefined || this.uses.size === 0;
  }

  /** The same captured texts, with other variables given. */
  withGiven(given: ReadonlyMap<string, Given>): Filler {
    return new Filler(given, this.#captured);
  }

  /** `decode` makes bytes of what is between variables; their values are bytes already. */
  bytes(text: string, decode: (plain: string) => Uint8Array): Filled<Uint8Array> {
    const { pieces, showable } = this.#fill(text, decode, (value) => value);
    return { value: Buffer.concat(pieces), showable };
  }

  /** Values match themselves, whatever they hold. */
  regex(source: string): Filled<string> {
    refuseInSets(source);
    const { pieces, showable } = this.#fill(source, (plain) => plain, literalSource);
    return { value: pieces.join(''), showable };
  }

  #fill<T>(
    text: string,
    ofPlain: (plain: string) => T,
    ofValue: (value: Uint8Array) => T,
  ): { pieces: T[]; showable: true | undefined } {
    const pieces: T[] = [];
    let showable: true | undefined = true;
    let plain = '';
    let from = 0;
    for (const { 0: token, index } of text.matchAll(/\$\$\{|\$\{[^}]*\}?/g)) {
      plain += text.slice(from, index);
      from = index + token.length;
      if (token === '$${') {
        plain += '${';
        continue;
      }
      if (plain !== '') pieces.push(ofPlain(plain));
      plain = '';
      const given = this.#lookUp(nameIn(token));
      if (given.isSecret) showable = undefined;
      pieces.push(ofValue(given.bytes));
    }
    plain += text.slice(from);
    if (plain !== '') pieces.push(ofPlain(plain));
    return { pieces, showable };
  }

  #lookUp(name: string): { isSecret: boolean; bytes: Uint8Array } {
    const given = this.#given.get(name);
    if (given) return { isSecret: given.isSecret, bytes: given.value(this) };
    this.uses.add(name);
    return { isSecret: false, bytes: this.#captured?.get(name) ?? PLACEHOLDER };
  }
}

/** Names that the groups of a regex give. */
export function groupNames(source: string): string[] {
  const tokens = source.matchAll(/\\.|\[(?:\\.|[^\]\\])*\]|\(\?<([A-Za-z_$][\w$]*)>/gs);
  return [...tokens].flatMap(([, name]) => (name === undefined ? [] : [name]));
}

function nameIn(token: string): string {
  const name = /^\$\{([A-Za-z_]\w*)\}$/.exec(token)?.[1];
  if (name !== undefined) return name;
  throw new RigError(
    'config',
    `expected the name of a variable such as \${user}, got ${JSON.stringify(token)}; write $\${ for the characters themselves`,
  );
}

/** A set has one character in one place, and a variable none that is known. */
function refuseInSets(source: string): void {
  for (const [token] of source.matchAll(/\\.|\[(?:\\.|[^\]\\])*\]/gs)) {
    if (!token.startsWith('[') || !/(?<!\$)\$\{/.test(token)) continue;
    throw new RigError(
      'config',
      `expected no variable inside ${JSON.stringify(token)}; write (?:…|\${name}) instead`,
    );
  }
}

function literalSource(value: Uint8Array): string {
  const escaped = [...value].map((byte) => {
    const character = String.fromCharCode(byte);
    if (/[\\^$.*+?()[\]{}|]/.test(character)) return `\\${character}`;
    return /[ -~]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `(?:${escaped.join('')})`;
}

export function plainValue(text: string): Given {
  return { isSecret: false, value: () => Buffer.from(text) };
}

/** A text of the file that calls, in which variables of that file have their values; `lent` gets the captured ones. */
export function lentValue(text: string, callerGiven: ReadonlyMap<string, Given>, lent: Set<string>): Given {
  const trial = new Filler(callerGiven);
  const { showable } = trial.bytes(text, (plain) => Buffer.from(plain));
  for (const name of trial.uses) lent.add(name);
  return {
    isSecret: showable === undefined,
    value: (filler) => {
      const own = filler.withGiven(callerGiven);
      const { value } = own.bytes(text, (plain) => Buffer.from(plain));
      for (const name of own.uses) filler.uses.add(name);
      return value;
    },
  };
}
