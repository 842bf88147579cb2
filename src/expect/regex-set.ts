/** Sets of a regular expression, `[…]`: of bytes, and as far as that goes of characters beyond ASCII. */

/** What stands for a set in a pattern over latin1 text. */
export interface SetSyntax {
  readonly source: string;
  /** Whether one of its members is the end of a line. */
  readonly takesNewline: boolean;
}

/** A piece of a set. `source` is what stands for it in a set of bytes. */
type Member =
  | { readonly kind: 'byte'; readonly source: string; readonly code: number; readonly isHyphen?: boolean }
  | { readonly kind: 'class'; readonly source: string }
  /** Several bytes of UTF-8. */
  | { readonly kind: 'wide'; readonly bytes: string };

/** JavaScript's white space has bytes beyond ASCII, which are parts of characters in UTF-8. */
const CLASSES: Readonly<Record<string, string>> = {
  d: '\\d',
  D: '\\D',
  w: '\\w',
  W: '\\W',
  s: '\\t-\\r ',
  S: '\\0-\\x08\\x0e-\\x1f!-\\xff',
};

/** Source: ECMA-262, 22.2.1. `\b` is a backspace in here. */
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, b: 8, 0: 0 };

const MEMBER =
  /\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\([dDwWsS])|\\([tnvfrb]|0(?!\d))|\\([^A-Za-z0-9])|([^\\])/suy;

/** @throws {SyntaxError} for a set that is none, or that bytes cannot express */
export function parseSet(token: string): SetSyntax {
  if (token === '[]') throw new SyntaxError('an empty set, which nothing matches');
  const isNegated = token.startsWith('[^');
  const { narrow, wide } = piecesOf(membersOf(token, isNegated ? 2 : 1), token);
  if (isNegated && wide.length > 0) throw tooWide(token);
  const set = narrow === '' && !isNegated ? [] : [`[${isNegated ? '^' : ''}${narrow}]`];
  const source = wide.length === 0 ? set.join('') : `(?:${[...set, ...wide].join('|')})`;
  return { source, takesNewline: new RegExp(`^${source}$`).test('\n') };
}

function membersOf(token: string, from: number): Member[] {
  const members: Member[] = [];
  for (let at = from; at < token.length - 1; ) {
    MEMBER.lastIndex = at;
    const found = MEMBER.exec(token);
    if (!found) throw new SyntaxError(`unknown escape ${token.slice(at, at + 2)} in ${token}`);
    members.push(memberOf(found));
    at += found[0].length;
  }
  return members;
}

function memberOf([, high, low, unit, hex, letter, control, escaped, plain]: RegExpExecArray): Member {
  if (letter !== undefined) return { kind: 'class', source: CLASSES[letter] ?? '' };
  if (hex !== undefined) return byte(Number.parseInt(hex, 16));
  if (control !== undefined) return byte(CONTROLS[control] ?? 0);
  const units = [high ?? unit, low].flatMap((each) => (each ? [Number.parseInt(each, 16)] : []));
  const character = units.length > 0 ? String.fromCharCode(...units) : (escaped ?? plain ?? '');
  const bytes = Buffer.from(character, 'utf8').toString('latin1');
  if (bytes.length > 1) return { kind: 'wide', bytes };
  return { ...byte(bytes.charCodeAt(0)), isHyphen: plain === '-' };
}

function byte(code: number): Member & { readonly kind: 'byte' } {
  const character = String.fromCharCode(code);
  const source = /[0-9A-Za-z]/.test(character) ? character : `\\x${code.toString(16).padStart(2, '0')}`;
  return { kind: 'byte', source, code };
}

/** A `-` between two makes a range of them, and is itself where one of them is a class; so JavaScript has it. */
function piecesOf(members: readonly Member[], token: string): { narrow: string; wide: string[] } {
  let narrow = '';
  const wide: string[] = [];
  const add = (member: Member): void => {
    if (member.kind === 'wide') wide.push(member.bytes);
    else narrow += member.source;
  };
  for (let at = 0; at < members.length; at++) {
    const [first, dash, last] = members.slice(at, at + 3);
    if (!first) break;
    if (dash?.kind !== 'byte' || dash.isHyphen !== true || !last) {
      add(first);
      continue;
    }
    at += 2;
    if (first.kind === 'class' || last.kind === 'class') {
      for (const each of [first, dash, last]) add(each);
    } else {
      narrow += rangeOf(first, last, token);
    }
  }
  return { narrow, wide };
}

function rangeOf(first: Member, last: Member, token: string): string {
  if (first.kind !== 'byte' || last.kind !== 'byte') throw tooWide(token);
  if (first.code > last.code) throw new SyntaxError(`range out of order in ${token}`);
  return `${first.source}-${last.source}`;
}

function tooWide(token: string): SyntaxError {
  return new SyntaxError(
    `characters beyond ASCII cannot stand in a range or a negated class (${token}), write (?:ä|ö) instead,`,
  );
}
