import { expect, test } from 'vitest';
import { ByteLines } from '../../src/base/byte-lines.ts';

test.each(['whole chunks', 'one byte at a time'])('lines come out whole, %s', (chunking) => {
  const bytes = Buffer.from('first\n\nzwölf\nrest');
  const lines = new ByteLines(100);
  const chunks = chunking === 'whole chunks' ? [bytes] : [...bytes].map((byte) => Buffer.of(byte));
  expect(chunks.flatMap((chunk) => lines.push(chunk))).toEqual(['first', '', 'zwölf']);
});

test('a line without an end is refused before it fills the memory', () => {
  const lines = new ByteLines(10);
  expect(lines.push(Buffer.from('0123456789'))).toEqual([]);
  expect(() => lines.push(Buffer.from('x'))).toThrow(RangeError);
});
