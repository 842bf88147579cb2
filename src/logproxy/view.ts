/** Records of all channels as lines for people, with the time and the channel before each. */

import { channelName, type LogRecord } from '../wire/log.ts';

/** A line that does not end is shown in pieces of this. */
const LINE_LIMIT_BYTES = 4096;

const ESCAPE = String.fromCodePoint(0x1b);
const RESET = `${ESCAPE}[0m`;
const DIM = `${ESCAPE}[2m`;
const RED = `${ESCAPE}[31m`;
/** stderr has red to itself. */
const TTY_COLOURS = [36, 32, 33, 35, 34].map((code) => `${ESCAPE}[${code}m`);

/** A change of colour, or any other control character. */
const CONTROLS = new RegExp(`${ESCAPE}\\[[0-9;]*m|\\p{Cc}`, 'gu');

export type Colour = 'colour' | 'plain';

/** A prompt has no end of line: it is shown once its writer is quiet. */
export const QUIET_MS = 250;

/** One line of one channel. */
interface OpenLine {
  /** That began it. */
  readonly record: LogRecord;
  readonly pieces: Uint8Array[];
  length: number;
  lastAtMs: number;
}

/**
 * Puts records into lines, each shown when it is complete, with the time of its first byte. What was sent to a board
 * is a line of its own, marked `>`.
 */
export class LineView {
  readonly #colour: Colour;
  readonly #show: (text: string) => void;
  /** The one that has been quiet for longest is first. */
  readonly #open = new Map<string, OpenLine>();

  constructor(colour: Colour, show: (text: string) => void) {
    this.#colour = colour;
    this.#show = show;
  }

  push(record: LogRecord): void {
    this.#finishQuiet(record.atMs);
    if (record.kind === 'gap') {
      this.#finish(keyOf(record));
      this.#line(record, `[${gapText(record.lostBytes)}]`, 'gap');
      return;
    }
    for (let from = 0; from < record.bytes.length; ) {
      const newline = record.bytes.indexOf(0x0a, from);
      const end = newline < 0 ? record.bytes.length : newline;
      this.#continue(record, record.bytes.subarray(from, end));
      if (newline >= 0) this.#finish(keyOf(record));
      from = end + 1;
    }
  }

  /** Shows lines that have not ended: prompts, and the last words of a run. */
  flush(): void {
    for (const key of [...this.#open.keys()]) this.#finish(key);
  }

  get hasOpenLines(): boolean {
    return this.#open.size > 0;
  }

  #continue(record: LogRecord, bytes: Uint8Array): void {
    const key = keyOf(record);
    const line = this.#open.get(key) ?? { record, pieces: [], length: 0, lastAtMs: 0 };
    this.#open.delete(key);
    this.#open.set(key, line);
    line.lastAtMs = record.atMs;
    line.pieces.push(Uint8Array.from(bytes));
    line.length += bytes.length;
    if (line.length >= LINE_LIMIT_BYTES) this.#finish(key);
  }

  #finishQuiet(nowMs: number): void {
    for (const [key, line] of this.#open) {
      if (nowMs - line.lastAtMs < QUIET_MS) return;
      this.#finish(key);
    }
  }

  #finish(key: string): void {
    const line = this.#open.get(key);
    if (!line) return;
    this.#open.delete(key);
    const bytes = Buffer.concat(line.pieces);
    const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length;
    this.#line(line.record, shownText(bytes.subarray(0, end), this.#colour), 'bytes');
  }

  #line(record: LogRecord, text: string, kind: LogRecord['kind']): void {
    const name = channelName(record.channel).padEnd(7);
    const mark = record.direction === 'out' ? '>' : '|';
    const time = timeOfDay(record.atMs);
    if (this.#colour === 'plain') {
      this.#show(`${time} ${name} ${mark} ${text}\n`);
      return;
    }
    const body = kind === 'gap' ? `${RED}${text}${RESET}` : `${text}${RESET}`;
    this.#show(`${DIM}${time}${RESET} ${colourOf(record.channel)}${name} ${mark}${RESET} ${body}\n`);
  }
}

function keyOf(record: LogRecord): string {
  return `${record.channel} ${record.direction} ${record.writer}`;
}

/** What a gap says for itself. */
function gapText(lostBytes: number): string {
  return lostBytes === 0
    ? 'gap: the writer was cut off, an unknown number of bytes may be missing'
    : `gap: ${lostBytes} bytes are missing`;
}

function colourOf(channel: number): string {
  if (channel === 2) return RED;
  return TTY_COLOURS[channel % TTY_COLOURS.length] ?? '';
}

/** Local, as people have it on their wrist: `06:39:47.012`. */
function timeOfDay(atMs: number): string {
  const at = new Date(atMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

/** Nothing that a board says may move the cursor; its colours are let through where colours are. */
function shownText(bytes: Buffer, colour: Colour): string {
  return bytes.toString('utf8').replaceAll(CONTROLS, (found) => {
    if (found === '\t') return found;
    if (found.length > 1) return colour === 'colour' ? found : '';
    return `\\x${(found.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`;
  });
}

/** The same for programs: one object a record, the bytes as text where they are UTF-8. */
export function jsonOf(record: LogRecord): string {
  const { sequence, writer, direction, atMs } = record;
  const monotonicMs = Number(record.monotonicNs / 1000n) / 1000;
  const common = { channel: channelName(record.channel), sequence, writer, direction, atMs, monotonicMs };
  if (record.kind === 'gap') return JSON.stringify({ ...common, lostBytes: record.lostBytes });
  const bytes = Buffer.from(record.bytes.buffer, record.bytes.byteOffset, record.bytes.length);
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text).equals(bytes);
  return JSON.stringify({ ...common, ...(isText ? { text } : { base64: bytes.toString('base64') }) });
}
