import { expect, test } from 'vitest';
import { linesOf, type Sending, sendText, shownInstead } from '../../src/expect/sending.ts';

async function doneBy(text: string, how: Partial<Sending>): Promise<string[]> {
  const done: string[] = [];
  await sendText(
    Buffer.from(text),
    { paceMs: 0, linePaceMs: 0, echoMs: undefined, ...how },
    {
      send: async (bytes) => void done.push(`send ${JSON.stringify(Buffer.from(bytes).toString())}`),
      pause: async (ms) => void done.push(`pause ${ms}`),
      echoOf: async (line, withinMs, send) => {
        await send();
        done.push(`echo ${Buffer.from(line).toString()} within ${withinMs}`);
      },
    },
  );
  return done;
}

test('text goes out at once where nothing else is wanted', async () => {
  expect(await doneBy('a\nb\n', {})).toEqual(['send "a\\nb\\n"']);
});

test('a pace comes after each byte, and one after each line', async () => {
  expect(await doneBy('ab\nc', { paceMs: 5, linePaceMs: 100 })).toEqual([
    ...['send "a"', 'pause 5', 'send "b"', 'pause 5', 'send "\\n"', 'pause 5', 'pause 100'],
    ...['send "c"', 'pause 5'],
  ]);
});

test('each line waits for the echo of the one before, but not for that of control bytes', async () => {
  expect(await doneBy('one\r\n\r\ntwo\x03\nthree', { echoMs: 2000 })).toEqual([
    ...['send "one\\r\\n"', 'echo one within 2000', 'send "\\r\\n"', 'send "two\\u0003\\n"'],
    ...['send "three"', 'echo three within 2000'],
  ]);
});

test.each([
  ['', []],
  ['a', ['a']],
  ['a\r\nb\rc\n\n', ['a\r\n', 'b\r', 'c\n', '\n']],
])('%j is cut into lines', (text, lines) => {
  expect(linesOf(Buffer.from(text)).map((line) => Buffer.from(line).toString())).toEqual(lines);
});

test('what came in place of an echo is shown by its end', () => {
  expect(shownInstead(Buffer.from(''))).toBe('nothing');
  expect(shownInstead(Buffer.from('vxrsion\r\n'))).toBe('"vxrsion\\r\\n"');
  expect(shownInstead(Buffer.from('x'.repeat(1000)))).toBe(`"…${'x'.repeat(120)}"`);
});
