/** Sets of a regular expression, `[…]`: of bytes, and as far as that goes of characters beyond ASCII. */

/** What stands for a set in a pattern over latin1 text. */
export interface SetSyntax {
  readonly source: string;
  /** Whether one of its members is the end of a line. */
  readonly takesNewline: boolean;
}

/** @throws {SyntaxError} for a set that is none, or that bytes cannot express */
export function parseSet(token: string): SetSyntax {
  if (token === '[]') throw new SyntaxError('an empty set, which nothing matches');
  const source = encodeSet(withAsciiSpace(token));
  try {
    return { source, takesNewline: new RegExp(`^${source}$`).test('\n') };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SyntaxError(`range out of order in ${token}`, { cause: error });
  }
}

/** JavaScript's white space has bytes beyond ASCII, which are parts of characters in UTF-8. */
function withAsciiSpace(token: string): string {
  return token.replace(/\\(.)/gsu, (whole, letter: string) => {
    if (letter === 's') return '\\t-\\r ';
    return letter === 'S' ? '\\0-\\x08\\x0e-\\x1f!-\\xff' : whole;
  });
}

/** `[aä]` becomes `(?:[a]|ä)`; ranges and negation over several bytes have no such form. */
function encodeSet(token: string): string {
  const wide = token.match(/\\u(?!00[0-7])[0-9a-fA-F]{4}|\P{ASCII}/gu) ?? [];
  if (wide.length === 0) return token;
  const isSimple =
    !token.startsWith('[^') && !/-(?:\P{ASCII}|\\u)|(?:\P{ASCII}|\\u[0-9a-fA-F]{4})-(?!\])/u.test(token);
  if (!isSimple) {
    throw new SyntaxError(
      `characters beyond ASCII cannot stand in a range or a negated class (${token}), write (?:ä|ö) instead,`,
    );
  }
  const narrow = wide.reduce((text, each) => text.replace(each, ''), token);
  const branches = wide.map((each) => {
    const character = each.startsWith('\\u') ? String.fromCharCode(Number.parseInt(each.slice(2), 16)) : each;
    return Buffer.from(character, 'utf8').toString('latin1');
  });
  return `(?:${[...(narrow === '[]' ? [] : [narrow]), ...branches].join('|')})`;
}
