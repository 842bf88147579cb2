import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { JigEvent } from '../../src/wire/jig.ts';

const DOCUMENT = fileURLToPath(new URL('../../docs/jig.md', import.meta.url));
const COMMON = ['event', 'atMs', 'target'];

test('the document has every event of a jig, with all that it carries', () => {
  const [, table = ''] = /^\| `event` .*\n\| -.*\n((?:\|.*\n)+)/m.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  const told = table
    .trimEnd()
    .split('\n')
    .map((row) => row.split('|').slice(1, -1))
    .flatMap(([events = '', , carries = '']) => namesIn(events).map((event) => [event, namesIn(carries)]));
  const carried = JigEvent.options.map(({ entries }) => [
    entries.event.literal,
    Object.keys(entries).filter((key) => !COMMON.includes(key)),
  ]);
  expect(Object.fromEntries(told)).toEqual(Object.fromEntries(carried));
});

/** What is in backticks, but for the values of a name, which follow it in parentheses. */
function namesIn(cell: string): string[] {
  return [...cell.replaceAll(/\(.*?\)/g, '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
}
