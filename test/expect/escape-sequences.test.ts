import { expect, test } from 'vitest';
import { EscapeSequences } from '../../src/expect/escape-sequences.ts';
import { CASES, chunked, pick, SEED, xorshift } from './xorshift.ts';

function strip(chunks: readonly Uint8Array[]): { readonly plain: string; readonly restored: string } {
  const sequences = new EscapeSequences();
  let plain = Buffer.alloc(0);
  for (const chunk of chunks) plain = Buffer.concat([plain, sequences.strip(chunk, plain.length)]);
  const restored = Buffer.from(sequences.restored(plain, 0)).toString('latin1');
  return { plain: plain.toString('latin1'), restored };
}

test.each([
  ['colours', '\x1b[1;32mroot@x\x1b[0m:\x1b[34m~\x1b[m# ', 'root@x:~# '],
  ['a cursor query', 'login\x1b[6n: ', 'login: '],
  ['private modes', '\x1b[?2004h$ \x1b[?25l', '$ '],
  ['a title ended by BEL', '\x1b]0;root@x: ~\x07$ ', '$ '],
  ['a title ended by ST', '\x1b]0;root@x: ~\x1b\\$ ', '$ '],
  ['a character set', 'a\x1b(Bb\x1b7c', 'abc'],
  ['a sequence that has only begun', 'ab\x1b[3', 'ab'],
  ['a title that a line end breaks off', 'a\x1b]0;x\r\nb', 'a\x1b]0;x\r\nb'],
  ['a CSI with a byte that is none of its', 'a\x1b[\x01b', 'a\x1b[\x01b'],
  ['a title without an end', `a\x1b]${'x'.repeat(5000)}`, `a\x1b]${'x'.repeat(5000)}`],
  ['a title longer than any', `a\x1b]${'x'.repeat(5000)}\x07b`, `a\x1b]${'x'.repeat(5000)}\x07b`],
  ['UTF-8 with a byte like CSI', '\xe2\x9b\x84', '\xe2\x9b\x84'],
])('%s', (_what, said, wanted) => {
  const bytes = Buffer.from(said, 'latin1');
  const oneByOne = [...bytes].map((byte) => Buffer.of(byte));
  for (const chunks of [[bytes], oneByOne]) expect(strip(chunks)).toEqual({ plain: wanted, restored: said });
});

test('of random bytes, cut anywhere, the same is left, and all of it can be given back', () => {
  const random = xorshift(SEED + 2);
  const letters = ['\x1b', '[', ']', '6', ';', 'n', 'm', '\x07', '\\', 'a', '\n', '(', 'P', '?'];
  for (let round = 0; round < CASES / 10; round++) {
    const text = Array.from({ length: random(40) }, () => pick(letters, random)).join('');
    const bytes = Buffer.from(text, 'latin1');
    const whole = strip([bytes]);
    const said = JSON.stringify({ seed: SEED, round, text });
    expect(whole.restored, said).toBe(text);
    expect(strip(chunked(bytes, random)), said).toEqual(whole);
  }
});

test('what is kept of removed sequences is bounded', () => {
  const sequences = new EscapeSequences();
  let plainBytes = 0;
  for (let round = 0; round < 100_000; round++)
    plainBytes += sequences.strip(Buffer.from('\x1b[6n'), 0).length;
  expect(plainBytes).toBe(0);
  expect(sequences.restored(new Uint8Array(), 0).length).toBeLessThanOrEqual(128 * 1024);
});
