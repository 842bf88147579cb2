import { expect, test } from 'vitest';
import { parseIntelHex } from '../../src/virtual-lab/intel-hex.ts';

const END = ':00000001FF';

test('data lies at its addresses, and the rest is erased flash', () => {
  const image = parseIntelHex(`:020002000C94 5C\r\n:0100050042B8\r\n${END}\r\n`.replace(' ', ''), 8);
  expect([...image]).toEqual([0xff, 0xff, 0x0c, 0x94, 0xff, 0x42, 0xff, 0xff]);
});

test('extended addresses move what follows', () => {
  expect(parseIntelHex(`:020000020001FB\n:0100000042BD\n${END}`, 32)[16]).toBe(0x42);
  expect(parseIntelHex(`:020000040001F9\n:0100000042BD\n${END}`, 0x1_0001)[0x1_0000]).toBe(0x42);
});

test.each([
  ['no record', 'hello', 'line 1: expected an Intel-HEX record, found "hello"'],
  ['a cut record', ':0200020C94', 'line 1: expected an Intel-HEX record, found ":0200020C94"'],
  ['a changed byte', ':0100050043B8', 'line 1: expected a checksum that fits, found ":0100050043B8"'],
  ['data past the end', ':01FFFF0042BF', 'line 1: expected a flash of 8 bytes, found data at 65535'],
  ['no end', ':0100050042B8', 'expected an end-of-file record, found none; the file is cut'],
])('%s is refused with its place', (_name, text, message) => {
  expect(() => parseIntelHex(text, 8)).toThrow(
    expect.objectContaining({ blame: 'config', message: `firmware: ${message}` }),
  );
});
