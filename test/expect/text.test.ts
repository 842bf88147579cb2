import { expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { bytesOfText, quoted, visible } from '../../src/expect/text.ts';

test.each([
  ['plain', [0x70, 0x6c, 0x61, 0x69, 0x6e]],
  ['\\r\\n\\t\\0\\a\\b\\e\\\\', [0x0d, 0x0a, 0x09, 0x00, 0x07, 0x08, 0x1b, 0x5c]],
  ['\\x03\\xff', [0x03, 0xff]],
  ['é\\x41', [0xc3, 0xa9, 0x41]],
  ['\\\\n', [0x5c, 0x6e]],
])('%s stands for its bytes', (text, bytes) => {
  expect([...bytesOfText(text, '--send')]).toEqual(bytes);
});

test.each(['\\', '\\q', '\\x', '\\x4', '\\xzz', 'a\\ b'])('%j is refused and not guessed at', (text) => {
  expect(() => bytesOfText(text, '--send')).toThrow(RigError);
  expect(() => bytesOfText(text, '--send')).toThrow(/^--send: expected one of .*write \\\\ for a backslash$/);
});

test.each([
  ['text as it is', Buffer.from('größe ✓ 日本'), 'größe ✓ 日本'],
  ['control bytes', Buffer.from('\r\n\t\x1b[1m\0\x7f'), '\\r\\n\\t\\e[1m\\x00\\x7f'],
  ['stray bytes between good ones', Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0xc3, 0x62]), 'a\\xffé\\xc3b'],
  ['a cut character', Buffer.from('é').subarray(0, 1), '\\xc3'],
  ['what turns text around', Buffer.from('a\u202eb'), 'a\\u{202e}b'],
])('%s can be read on one line', (_what, bytes, shown) => {
  expect(visible(bytes)).toBe(shown);
});

test('quotes cut what is long', () => {
  expect(quoted(Buffer.from('abc'))).toBe('"abc"');
  expect(quoted(Buffer.from('abcdef'), 3)).toBe('"abc…"');
});
