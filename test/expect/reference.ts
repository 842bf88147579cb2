/** What the matcher promises, read slowly: nothing is kept, every place is looked at anew. */

import { ByteRegex, type UnsafeEngine } from '../../src/expect/byte-regex.ts';
import type { Match, Pattern } from '../../src/expect/matcher.ts';
import { rawHit } from '../../src/expect/regex-hit.ts';
import { pick, type Random } from './xorshift.ts';

export type Found = Pick<Match, 'index' | 'start' | 'end' | 'decidedAt'> & {
  /** Latin1, of a regex. */
  readonly groups?: readonly (string | undefined)[];
};

/** A decision, and when it fell: quiet comes after the byte at which it falls. */
export type SlowFound = Found & { readonly when: number };

export interface SamplePattern {
  readonly pattern: Pattern;
  /** Latin1. */
  readonly source: string;
}

const WINDOW = 4096;
const LONG_LINE = 2048;

/**
 * The first decision of a matcher that was given the bytes from `start` on, and has decided at `floor` before. The board
 * is quiet at the end of the bytes, and at other places. A line that had begun before `start` is as long as what of it comes after.
 */
export function slowMatch(
  samples: readonly SamplePattern[],
  bytes: Buffer,
  start: number,
  floor = start,
  quiets: ReadonlySet<number> = new Set(),
): SlowFound | undefined {
  for (let end = floor + 1; end <= bytes.length; end++) {
    const isQuiet = end === bytes.length || quiets.has(end);
    const found = decidedAt(samples, bytes, start, floor, end, isQuiet);
    if (found) return found;
  }
  return undefined;
}

function decidedAt(
  samples: readonly SamplePattern[],
  bytes: Buffer,
  start: number,
  floor: number,
  end: number,
  isQuiet: boolean,
): SlowFound | undefined {
  const literals = samples.flatMap(({ pattern, source }, index) => {
    const from = end - source.length;
    const isThere =
      pattern.kind === 'literal' && from >= floor && bytes.toString('latin1', from, end) === source;
    return isThere ? [{ index, start: from, end, decidedAt: end }] : [];
  });
  const lineStart = Math.max(start, bytes.lastIndexOf(0x0a, end - 2) + 1);
  const endsLine = bytes[end - 1] === 0x0a;
  const isLong = (end - lineStart) % LONG_LINE === 0;
  const regexes =
    endsLine || isLong
      ? regexesAt(samples, bytes, floor, end, endsLine ? 'up to the end' : 'short of the end')
      : [];
  const found = first([...literals, ...regexes]);
  if (found) return { ...found, when: end };
  if (!isQuiet || endsLine) return undefined;
  const atQuiet = first(regexesAt(samples, bytes, floor, end, 'up to the end'));
  return atQuiet && { ...atQuiet, when: end + 0.5 };
}

function regexesAt(
  samples: readonly SamplePattern[],
  bytes: Buffer,
  floor: number,
  end: number,
  reach: 'up to the end' | 'short of the end',
): Found[] {
  const from = Math.max(floor, end - WINDOW);
  const context = from > 0 ? 1 : 0;
  const text = bytes.toString('latin1', from - context, end);
  return samples.flatMap(({ pattern, source }, index) => {
    if (pattern.kind === 'literal') return [];
    const regex = new RegExp(source, 'gm');
    regex.lastIndex = context;
    const match = regex.exec(text);
    if (!match) return [];
    const at = match.index + from - context;
    const isCut = reach === 'short of the end' && at + match[0].length === end;
    return isCut ? [] : [{ index, start: at, end: at + match[0].length, decidedAt: end, groups: [...match] }];
  });
}

/** Of those decided at the same byte. */
function first(found: readonly Found[]): Found | undefined {
  return [...found].sort((a, b) => a.end - b.end || a.index - b.index)[0];
}

/** For patterns as short as these. */
const IN_THIS_THREAD: UnsafeEngine = {
  find: (source, text, from) => rawHit(new RegExp(source, 'gm'), text, from),
};

const SOURCES = [
  'a+b',
  '^b',
  'b$',
  'a\\r?\\n',
  '(?:ab)+$',
  'b.*a',
  '^a[^b]',
  '\\bab\\b',
  'ab\\nb',
  'bb',
  '^ab$',
  'aab|bba',
  '[^a]b',
  '(a)(b)?$',
  'ab{2,3}',
  '^\\s+a',
  'b\\Ba',
  'a[^]*?bb',
  'ba(?:\\n|a)b',
  '\\0',
  'ab a',
  '(?:ab|bb) ',
  'b a$',
  '^$b?\\n?a',
  '(?:ab?){17,18}',
  '(a*)(b?).*b$',
  '(?:(a)|(b)\\n?){2}',
  '(?<=b)(a+)\\n',
  '(a|b)a\\1$',
  'a(?!b|\\n)',
].map((source) => ({ pattern: regex(source), source }));

function regex(source: string): Pattern {
  return { kind: 'regex', regex: new ByteRegex(source, 'sample', IN_THIS_THREAD) };
}

/** Few letters, so that much nearly matches; NULs and bytes that are no text as well. */
export function randomText(length: number, random: Random): string {
  const letters = pick(['aab\n ', 'ab', 'aab\r\n', 'ab\0\xff\xe2\n'], random);
  return Array.from({ length }, () => letters.charAt(random(letters.length))).join('');
}

export function randomPatterns(random: Random, atLeast = 1): SamplePattern[] {
  return Array.from({ length: Math.max(0, atLeast + random(3)) }, () => {
    if (random(2) === 0) return pick(SOURCES, random);
    const source = randomText(1 + random(5), random);
    return { pattern: { kind: 'literal', bytes: Buffer.from(source, 'latin1') }, source };
  });
}

/** Mostly short; some with lines about as long as what a regex sees, or as what it waits for. */
export function randomStream(random: Random): Buffer {
  if (random(50) > 0) return Buffer.from(randomText(random(60), random), 'latin1');
  const filling = pick(['.', 'x.', 'b', 'a ', '.\n'], random);
  const length = Math.round((pick([LONG_LINE, WINDOW, 3 * LONG_LINE], random) - random(24)) / filling.length);
  const [before, after] = [randomText(random(30), random), randomText(random(30), random)];
  return Buffer.from(`${before}${filling.repeat(length)}${after}`, 'latin1');
}
