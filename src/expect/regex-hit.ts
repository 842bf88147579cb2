/** Where a regex matched in latin1 text, and what its groups took; passes between threads as it is. */
export interface RawHit {
  readonly start: number;
  /** By number; 0 is the whole match. */
  readonly groups: readonly (string | undefined)[];
  readonly named: Readonly<Record<string, string | undefined>>;
}

/** The first match of a pattern with flag `g` from `from` on. */
export function rawHit(regex: RegExp, text: string, from: number): RawHit | undefined {
  regex.lastIndex = from;
  const match = regex.exec(text);
  return match ? { start: match.index, groups: [...match], named: { ...match.groups } } : undefined;
}
