import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ByteRegex } from '../../src/expect/byte-regex.ts';
import { UnsafeRegexes } from '../../src/expect/unsafe-regexes.ts';

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString('utf8');
const latin1 = (said: string): string => Buffer.from(said).toString('latin1');
const unsafe = new UnsafeRegexes(fileURLToPath(new URL('../../dist/expect-regex.cjs', import.meta.url)));

test.each([
  ['(', '--regex: unterminated group at character 1 of "("'],
  ['ab)', 'unmatched ) at character 3'],
  ['a{2,1}', 'numbers out of order in {} at character 1 of "a{2,1}"'],
  ['a|*b', 'nothing to repeat at character 3'],
  ['a**', 'nothing to repeat at character 3'],
  ['^*', 'nothing to repeat at character 1'],
  ['a[b', 'unterminated set at character 2'],
  ['x[b-a]', 'range out of order in [b-a] at character 2'],
  ['[]', 'an empty set, which nothing matches at character 1'],
  ['a\\', '\\ at the end at character 2'],
  ['a\\q', 'unknown escape \\q at character 2'],
  ['\\p{L}', 'unknown escape \\p at character 1'],
  ['(a)\\2', 'there is no group 2 at character 4'],
  ['(?<a>x)\\k<b>', 'there is no group b at character 8'],
  ['(?<a>x)(?<a>y)', 'two groups named a at character 8'],
  [`${'('.repeat(5000)}x`, 'over 200 groups in each other at character 201'],
  ['(?i)x', 'unknown kind of group at character 1'],
  ['x*', 'expected a regular expression that needs some text, but "x*" matches nothing at all'],
  ['', 'matches nothing at all'],
  ['^', 'matches nothing at all'],
  ['\\b', 'matches nothing at all'],
  ['(?:a|b*)$', 'matches nothing at all'],
  ['[^ä]', 'characters beyond ASCII cannot stand in a range or a negated class ([^ä])'],
  ['[a-ü]', 'characters beyond ASCII'],
  ['x[\\p{L}]', 'unknown escape \\p in [\\p{L}] at character 2'],
  ['[\\u{1F600}]', 'unknown escape \\u in [\\u{1F600}] at character 1'],
  [
    'x(?=a)',
    'a look-ahead at character 2 of "x(?=a)" cannot be matched in bounded time; write it without, or give --unsafe-regex',
  ],
  ['(?<!x)a', 'a look-behind at character 1'],
  ['(a)\\1', 'a back reference at character 4'],
  ['(?:(a)?){20,50}b', 'so large a repeat at character 1'],
  ['(?:a{1000}){1000}', 'so large a repeat at character 1'],
  ['x(?:a?){600}a{600}', 'so large a repeat at character 2'],
  ['b[ab]{0,4000}c', 'so large a repeat at character 2'],
  ['a'.repeat(100_000), `so long a pattern at character 1 of "${'a'.repeat(120)}…" cannot be matched`],
  [`a{${'9'.repeat(400)}}`, 'a count over 1000000 in {} at character 1'],
])('%s is refused', (source, reason) => {
  expect(() => new ByteRegex(source, '--regex')).toThrow(reason);
});

test.each([
  ['[0-9a-f]{40}', `x${'0f'.repeat(20)}`, 1, 41],
  ['(?:ab){17,20}c', `${'ab'.repeat(18)}c`, 0, 37],
  ['a{30,}?b', `${'a'.repeat(31)}b`, 0, 32],
  ['(\\d){3}', 'ab123', 2, 5],
  ['a{2', 'xa{2', 1, 4],
  ['\\{"a":\\s*1}', '{"a":\t1}', 0, 8],
  ['\\x41\\u0042\\.', 'AB.', 0, 3],
  ['\\ud83d\\ude00+', '😀😀', 0, 8],
  ['[\\ud83d\\ude00]', 'x😀', 1, 5],
  ['[ä^]', 'xä', 1, 3],
  ['[-ä]+', 'x-ä', 1, 4],
  ['[a\\-ä]+', 'xä-a', 1, 5],
  ['[\\\\u00e4]+', 'x\\u04e', 1, 6],
  ['[\\s-.]+', 'x!. -', 2, 5],
  ['[\\s-z]', 'Az', 1, 2],
  ['[\\w-]+', '(a-b)', 1, 4],
  ['[+--]+', 'x,-.', 1, 3],
  ['[\\b\\0\\]^]+', 'x\b\0]^', 1, 5],
  ['[^\\S]', 'x\t', 1, 2],
])('%s is found in %s', (source, said, start, end) => {
  expect(new ByteRegex(source, '--regex').find(latin1(said), 0)).toMatchObject({ start, end });
});

test('groups are told as bytes, by number and by name', () => {
  const regex = new ByteRegex('(?<name>\\S+) = (\\d+)( V)?(?:;|$)', '--regex');
  const { groups, named } = regex.find(latin1('größe = 12;'), 0)?.captures ?? { groups: [], named: {} };
  expect(groups.map((group) => text(group))).toEqual(['größe = 12;', 'größe', '12', undefined]);
  expect(text(named['name'])).toBe('größe');
});

test('white space is ASCII, so that it never takes half a character', () => {
  expect(new ByteRegex('a\\s', '--regex').find(latin1('aà'), 0)).toBeUndefined();
  expect(new ByteRegex('Ã?\\S+$', '--regex').find(latin1('à'), 0)).toMatchObject({ end: 2 });
});

test.each([
  ['Guru Meditation Error: Core *\\d+', ['Guru Meditation Error: Core']],
  ['a(?:bcd|efg)h', ['bcd', 'efg']],
  ['(?:U-Boot|SPL) \\d', ['U-Boot', 'SPL']],
  ['ab^cd', ['abcd']],
  ['(abc)+', ['abc']],
  ['(?:abc)?\\d', undefined],
  ['\\d: x', [': x']],
  ['a|bcd', undefined],
])('what every match of %s holds is known', (source, words) => {
  expect(new ByteRegex(source, '--regex').requiredWords?.map((word) => text(word))).toEqual(words);
});

test.each([
  ['a.*b', true],
  ['a\\s', false],
  ['a[^b]', false],
  ['a\\nb', false],
  ['a[ \\t]\\d$', true],
])('%s stays in its line: %s', (source, staysInLine) => {
  expect(new ByteRegex(source, '--regex').staysInLine).toBe(staysInLine);
});

test('an unsafe regex is run, with its groups', () => {
  const regex = new ByteRegex('(?<=id=)(?<id>\\w+)', '--regex', unsafe);
  const hit = regex.find(latin1('x id=ü id=abc'), 2);
  expect(hit).toMatchObject({ start: 11, end: 14 });
  expect(text(hit?.captures.named['id'])).toBe('abc');
  expect(regex.find('nothing', 0)).toBeUndefined();
});

test.each([
  ['(?:a?){500}a{500}', 'a'.repeat(300)],
  ['(?:.*a){20}c', 'ab'.repeat(2048)],
  ['.*.*.*.*z', 'y'.repeat(4096)],
  ['[ab]{0,1000}c', 'ab'.repeat(40)],
  ['[ab]{0,1000}c', 'ab'.repeat(2048)],
])('%s is looked for in a time that has a bound', (source, said) => {
  const regex = new ByteRegex(source, '--regex');
  expect(regex.find(said, 0)).toBeUndefined();
  expect(regex.couldMatch(said, 0)).toBe(false);
});

test('an unsafe regex of any length is run, or said to be too long', () => {
  const long = 'a'.repeat(30_000);
  expect(new ByteRegex(`(?=a)${long}`, '--regex', unsafe).find('b', 0)).toBeUndefined();
  expect(() => new ByteRegex(`(?=a)${long}${long}`, '--regex', unsafe).find('b', 0)).toThrow(
    `--regex: "(?=a)${'a'.repeat(115)}…" cannot be run: Regular expression too large; write a shorter one`,
  );
});

test('an unsafe regex that finds no end is given up, and says what to write instead', () => {
  const regex = new ByteRegex('(?=a)(a+)+$', '--regex', unsafe);
  expect(() => regex.find(`${'a'.repeat(60)}b\n`, 0)).toThrow(
    '--regex: "(?=a)(a+)+$" took over 1000 ms on 62 bytes; write it without nested repeats',
  );
  expect(regex.find('aaa', 0)).toMatchObject({ start: 0, end: 3 });
});
