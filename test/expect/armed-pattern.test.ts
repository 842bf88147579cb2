import { expect, test } from 'vitest';
import { literalPattern } from '../../src/expect/armed-pattern.ts';

test('a text of 16 KiB can be waited for, and a longer one is refused with what to do', () => {
  const text = Buffer.alloc(16 * 1024, 'x');
  expect(literalPattern(text, '--expect').pattern).toEqual({ kind: 'literal', bytes: text });
  expect(() => literalPattern(Buffer.alloc(16 * 1024 + 1, 'x'), '--expect')).toThrow(
    '--expect: expected a text of at most 16384 bytes, got 16385; expect its end, or its parts one after the other',
  );
});
