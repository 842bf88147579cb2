import { describe, expect, test } from 'vitest';
import { ByteRegex } from '../../src/expect/byte-regex.ts';
import { type Match, Matcher, type Pattern } from '../../src/expect/matcher.ts';
import { memoryInUse } from '../peers/memory-use.ts';

const literal = (text: string): Pattern => ({ kind: 'literal', bytes: Buffer.from(text) });
const regex = (source: string): Pattern => ({ kind: 'regex', regex: new ByteRegex(source, '--regex') });

const CHUNKINGS: Record<string, (bytes: Buffer) => Buffer[]> = {
  'whole chunks': (bytes) => [bytes],
  'one byte at a time': (bytes) => [...bytes].map((byte) => Buffer.of(byte)),
};

/** The first match in `text`; with `quiet`, also one in its unfinished last line. */
function firstMatch(
  patterns: Pattern[],
  chunks: Buffer[],
  ending: 'quiet' | 'more to come',
): Match | undefined {
  const matcher = new Matcher(patterns);
  for (const chunk of chunks) {
    const match = matcher.push(chunk);
    if (match) return match;
  }
  return ending === 'quiet' ? matcher.quiet() : undefined;
}

describe.each(Object.entries(CHUNKINGS))('%s', (_name, chunked) => {
  const find = (patterns: Pattern[], text: string, ending: 'quiet' | 'more to come' = 'more to come') =>
    firstMatch(patterns, chunked(Buffer.from(text)), ending);

  test('a prompt without a newline is found', () => {
    expect(find([literal('panic'), literal('=> ')], 'U-Boot 2024.01\r\n=> ')).toEqual({
      index: 1,
      start: 16,
      end: 19,
      decidedAt: 19,
    });
  });

  test.each(['CCompleted: PASS', 'CompCompleted: PASS', 'Completed: Completed: PASS'])(
    '%s holds the text',
    (text) => {
      expect(find([literal('Completed: PASS')], text)?.end).toBe(text.length);
    },
  );

  test('a text that only just does not come is not found', () => {
    expect(
      find([literal('Completed: PASS')], 'Completed: PAS\0S Completed:  PASS completed: pass'),
    ).toBeUndefined();
  });

  test('the first to complete wins, and at the same byte the earlier in the list', () => {
    expect(find([literal('longer text'), literal('text')], 'a longer text')?.index).toBe(0);
    expect(find([literal('text'), literal('longer text')], 'a longer text')?.index).toBe(0);
    expect(find([literal('abcd'), literal('bc')], 'abcd')).toMatchObject({ index: 1, end: 3 });
  });

  test('bytes that are no text are found', () => {
    const bytes = Buffer.from([0, 0xff, 0xfe, 0x0a, 0x00]);
    const match = firstMatch(
      [{ kind: 'literal', bytes }],
      chunked(Buffer.concat([bytes.subarray(1), bytes])),
      'quiet',
    );
    expect(match?.end).toBe(9);
  });

  test('a regex is decided at the end of its line', () => {
    expect(find([regex('version (\\d+)')], 'version 1')).toBeUndefined();
    expect(find([regex('version (\\d+)')], 'version 12\r\nmore')).toMatchObject({
      index: 0,
      start: 0,
      end: 10,
      decidedAt: 12,
    });
  });

  test('a regex is decided in an unfinished line when the board is quiet', () => {
    expect(find([regex('^login: $')], 'Debian\r\nlogin: ', 'quiet')).toMatchObject({ start: 8, end: 15 });
  });

  test('the rest of a line is never taken from a cut line', () => {
    expect(find([regex('^value=.*$')], 'value=1234\r\nvalue=5\r\n')).toMatchObject({ start: 0, end: 10 });
  });

  test('a literal within the line comes before a regex that waits for its end', () => {
    expect(find([regex('Error.*'), literal('Error')], 'Error: 5\r\n')).toMatchObject({ index: 1, end: 5 });
  });

  test('of regexes on one line the one that ends first wins', () => {
    expect(find([regex('b+'), regex('a+')], 'aabb\n')).toMatchObject({ index: 1, start: 0, end: 2 });
  });

  test('a regex may span lines', () => {
    expect(find([regex('one\\r\\ntwo')], 'one\r\ntwo\r\n')).toMatchObject({ start: 0, end: 8 });
  });

  test('^ is the beginning of a line, also where older text has left the window', () => {
    expect(find([regex('^end')], `${'x'.repeat(10_000)}end\r\n`)).toBeUndefined();
    expect(find([regex('^end')], `${'x'.repeat(10_000)}\r\nend\r\n`)).toMatchObject({ start: 10_002 });
  });

  test('a regex is found in a line that never ends', () => {
    const text = `${'.'.repeat(3000)}needle${'.'.repeat(5000)}`;
    expect(find([regex('ne+dle')], text)).toMatchObject({ start: 3000, end: 3006 });
  });

  test('UTF-8 patterns are characters, also in repeats and sets', () => {
    expect(find([literal('größe')], 'x größe')?.end).toBe(Buffer.byteLength('x größe'));
    expect(find([regex('^Temperatur: \\d+ °C$')], 'Temperatur: 21 °C\r\n')).toBeDefined();
    expect(find([regex('^ä+$')], 'äää\r\n')).toMatchObject({ start: 0, end: 6 });
    expect(find([regex('^[xäö]+$')], 'öxä\r\n')).toMatchObject({ start: 0, end: 5 });
    expect(find([regex('^\\u00e4$')], 'ä\r\n')).toBeDefined();
  });
});

test('a matcher begins anew just after the byte that decided', () => {
  const matcher = new Matcher([literal('aa')]);
  const bytes = Buffer.from('aaa a');
  expect(matcher.push(bytes)).toMatchObject({ end: 2 });
  expect(matcher.push(bytes.subarray(matcher.scanned))).toBeUndefined();
  expect(matcher.scanned).toBe(5);
});

test('^ does not match in the middle of a line that the step before has used up to there', () => {
  expect(new Matcher([regex('^rest')], 'x'.charCodeAt(0)).push(Buffer.from('rest\n'))).toBeUndefined();
  expect(new Matcher([regex('^rest')], '\n'.charCodeAt(0)).push(Buffer.from('rest\n'))).toBeDefined();
});

test('memory stays bounded whatever the board prints', () => {
  const matcher = new Matcher([literal('never there'), regex('^never')]);
  const line = Buffer.from(`${'a line of some length '.repeat(3)}\r\n`);
  const endless = Buffer.alloc(64 * 1024, 'x');
  for (let i = 0; i < 200; i++) matcher.push(endless);
  const before = memoryInUse().heapUsed;
  for (let i = 0; i < 20_000; i++) matcher.push(line);
  for (let i = 0; i < 300; i++) matcher.push(endless);
  expect(matcher.scanned).toBe(500 * endless.length + 20_000 * line.length);
  expect(memoryInUse().heapUsed - before).toBeLessThan(30 * 1024 * 1024);
});

test.each(['(a+)+$', '^(?:a|aa)+$', '(x+x+)+y', '(.*)*=', '(a|a?)+b$'])(
  '%s does not hang the process',
  (source) => {
    const matcher = new Matcher([regex(source)]);
    expect(matcher.push(Buffer.from(`${'aax'.repeat(1000)}\n`))).toBe(undefined);
  },
);
