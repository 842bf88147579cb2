import { expect, test } from 'vitest';
import { socketPathOf } from '../../src/logproxy/address.ts';

test('a path is itself', () => {
  expect(socketPathOf('/run/sai/tty0')).toBe('/run/sai/tty0');
});

test('an abstract name is one only where the runtime names it as C programs do', () => {
  expect(socketPathOf('@sai.tty0', '22.11.0')).toBe('\0sai.tty0');
  expect(() => socketPathOf('@sai.tty0', '20.19.0')).toThrow(
    '@sai.tty0: abstract sockets need Node.js 22 or newer, this is 20.19.0; use a path',
  );
});

test.each([
  ['', '"": expected a socket path or @name'],
  ['a\0b', '"a\\u0000b": expected a socket path or @name'],
  [`/${'x'.repeat(107)}`, 'expected a socket path of at most 107 bytes, got 108; use a shorter folder'],
])('%j is refused', (value, message) => {
  expect(() => socketPathOf(value)).toThrow(message);
});
