import { visible } from './text.ts';

/** Longest line of a tail that is shown; the rest of it is cut. */
const LINE_LIMIT = 200;

/** The last of what a board said, for messages. */
export class Transcript {
  readonly #limitBytes: number;
  #chunks: Uint8Array[] = [];
  #sizeBytes = 0;

  constructor(limitBytes = 256 * 1024) {
    this.#limitBytes = limitBytes;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    // Rarely, and then by half: many boards send one byte at a time.
    if (this.#sizeBytes > 2 * this.#limitBytes || this.#chunks.length > 8192) this.#compact();
  }

  /** The last lines that hold anything, oldest first, with control bytes made visible. */
  lines(limit = Number.POSITIVE_INFINITY): string[] {
    const lines = splitLines(this.#compact())
      .map((line) => visible(line))
      .filter((line) => line.trim() !== '')
      .map((line) => (line.length > LINE_LIMIT ? `${line.slice(0, LINE_LIMIT)}…` : line));
    return lines.slice(Math.max(0, lines.length - limit));
  }

  #compact(): Buffer {
    const all = Buffer.concat(this.#chunks);
    const kept = all.subarray(Math.max(0, all.length - this.#limitBytes));
    this.#chunks = [kept];
    this.#sizeBytes = kept.length;
    return kept;
  }
}

/** Cut at `\n`; a `\r` before it belongs to the line's end and is not shown. */
function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, from);
    const to = newline < 0 ? bytes.length : newline;
    const end = newline > from && bytes[newline - 1] === 0x0d ? newline - 1 : to;
    lines.push(bytes.subarray(from, end));
    from = to + 1;
  }
  return lines;
}
