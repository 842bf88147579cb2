import { expect, test } from 'vitest';
import { type Colour, jsonOf, LineView } from '../../src/logproxy/view.ts';
import { CHANNEL, type LogRecord, ttyChannel } from '../../src/wire/log.ts';

let sequence = 0;

function record(
  text: string | Uint8Array,
  more: Partial<Pick<LogRecord, 'channel' | 'direction' | 'writer'>> = {},
): LogRecord {
  return {
    kind: 'bytes',
    direction: 'in',
    bytes: Buffer.from(text),
    channel: ttyChannel(0),
    writer: 1,
    sequence: sequence++,
    atMs: new Date(2026, 10, 20, 6, 5, 4, 32).getTime() + sequence,
    monotonicNs: 1_234_567_891n,
    ...more,
  };
}

/** What is shown, without the times. */
function shown(colour: Colour, records: readonly LogRecord[]): string[] {
  const lines: string[] = [];
  const view = new LineView(colour, (text) => lines.push(text));
  for (const each of records) view.push(each);
  view.flush();
  return lines.map((line) => line.replace(/^(\S*?)\d\d:\d\d:\d\d\.\d{3}/, '$1TIME'));
}

test('a line is shown once it is whole, with the time of its first byte', () => {
  const lines: string[] = [];
  const view = new LineView('plain', (text) => lines.push(text));
  sequence = 0;
  view.push(record('U-Boot'));
  view.push(record(' 2024'));
  expect(lines).toEqual([]);
  view.push(record('\r\n=> '));
  expect(lines).toEqual(['06:05:04.033 tty0    | U-Boot 2024\n']);
  view.flush();
  expect(lines.slice(1)).toEqual(['06:05:04.035 tty0    | => \n']);
});

test('channels, directions and writers do not cut each other’s lines', () => {
  expect(
    shown('plain', [
      record('boot'),
      record('err', { channel: CHANNEL.stderr }),
      record('root\n', { direction: 'out' }),
      record('other', { writer: 2 }),
      record('ing\n'),
      record('or\n', { channel: CHANNEL.stderr }),
    ]),
  ).toEqual([
    'TIME tty0    > root\n',
    'TIME tty0    | booting\n',
    'TIME stderr  | error\n',
    'TIME tty0    | other\n',
  ]);
});

test('control bytes cannot move the cursor, colours pass where colours are', () => {
  const text = '\x1b[2J\x1b[31mred\x1b[0m\ttab \x07\x9b\xc2\x9b é\n';
  expect(shown('plain', [record(Buffer.from(text, 'latin1')), record('é\n')])).toEqual([
    'TIME tty0    | \\x1b[2Jred\ttab \\x07\ufffd\\x9b \ufffd\n',
    'TIME tty0    | é\n',
  ]);
  const [coloured] = shown('colour', [record(text)]);
  expect(coloured).toContain('\x1b[31mred\x1b[0m');
  expect(coloured).not.toContain('\x1b[2J');
});

test('a gap is shown where it is, with its size', () => {
  const gap = (lostBytes: number): LogRecord => {
    const { bytes: _none, ...rest } = record('') as LogRecord & { kind: 'bytes' };
    return { ...rest, kind: 'gap', lostBytes };
  };
  expect(shown('plain', [record('before'), gap(12), record('after\n'), gap(0)])).toEqual([
    'TIME tty0    | before\n',
    'TIME tty0    | [gap: 12 bytes are missing]\n',
    'TIME tty0    | after\n',
    'TIME tty0    | [gap: the writer was cut off, an unknown number of bytes may be missing]\n',
  ]);
});

test('a line without an end is shown in pieces, so that memory stays bounded', () => {
  const pieces = Array.from({ length: 100 }, () => record('x'.repeat(1000)));
  const lines = shown('plain', pieces);
  expect(lines.length).toBeGreaterThanOrEqual(20);
  expect(lines.join('').match(/x/g)).toHaveLength(100_000);
});

test('as JSON, bytes are text where they are UTF-8, and base64 where they are not', () => {
  sequence = 7;
  const common = { channel: 'tty0', sequence: 7, writer: 1, direction: 'in', monotonicMs: 1234.567 };
  const { atMs, ...text } = JSON.parse(jsonOf(record('déjà\r\n'))) as { atMs: number };
  expect(text).toEqual({ ...common, text: 'déjà\r\n' });
  expect(atMs).toBeGreaterThan(0);
  const binary = JSON.parse(jsonOf(record(Buffer.of(0xff, 0)))) as { base64: string };
  expect(binary.base64).toBe('/wA=');
});
