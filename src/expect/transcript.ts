import { ByteBacklog } from './byte-backlog.ts';
import { visible } from './text.ts';

/** Longest line of a tail that is shown; the rest of it is cut. */
const LINE_LIMIT = 200;
/** Of those that tell of a crash, besides the last ones. */
const TELLING_LIMIT = 5;
/** Between lines that do not follow each other. */
const CUT = '…';

/** Lines for a failure's message, oldest first. */
export interface Tail {
  /** One that is older than the last fresh step begins with words that say so. */
  readonly lines: readonly string[];
  /** That step, when all of them are older. */
  readonly silentSince: string | undefined;
}

/** The last of what a board said, for messages. A copy: a flood's chunks are done with once they have been looked at. */
export class Transcript {
  readonly #limitBytes: number;
  readonly #backlog = new ByteBacklog();
  /** The last fresh step, and what had come by then. */
  #fresh: { readonly step: string; readonly end: number } | undefined;

  constructor(limitBytes = 256 * 1024) {
    this.#limitBytes = limitBytes;
  }

  push(chunk: Uint8Array): void {
    this.#backlog.append(chunk);
    // Rarely, and then by half, so that each byte moves once.
    if (this.#backlog.end - this.#backlog.start > 2 * this.#limitBytes) this.#kept();
  }

  /** What has come by now is from before `step`. */
  markFresh(step: string): void {
    this.#fresh = { step, end: this.#backlog.end };
  }

  /** The lines that hold anything, oldest first, with control bytes made visible. */
  lines(): string[] {
    return shownLines(this.#kept());
  }

  /** The last of the lines; before them, those of the last crash that hold one of `telling`, its first. */
  tail(limit = Number.POSITIVE_INFINITY, telling: readonly string[] = []): Tail {
    const all = this.#kept();
    if (!this.#fresh) return { lines: lastOf(shownLines(all), limit, telling), silentSince: undefined };
    const { step, end } = this.#fresh;
    const freshAt = Math.max(0, end - this.#backlog.start);
    const older = shownLines(all.subarray(0, freshAt)).map((line) => `[before ${step}] ${line}`);
    const fresh = shownLines(all.subarray(freshAt));
    return {
      lines: lastOf([...older, ...fresh], limit, telling),
      silentSince: fresh.length === 0 ? step : undefined,
    };
  }

  #kept(): Buffer {
    this.#backlog.forgetBefore(this.#backlog.end - this.#limitBytes);
    return this.#backlog.view(this.#backlog.start);
  }
}

function lastOf(lines: readonly string[], limit: number, telling: readonly string[]): readonly string[] {
  const from = Math.max(0, lines.length - limit);
  const [first, ...others] = telling;
  const begin = first === undefined ? from : lines.findLastIndex((line) => line.includes(first));
  const earlier = lines
    .slice(Math.max(0, begin), from)
    .filter((line, index) => index === 0 || others.some((text) => line.includes(text)));
  if (begin < 0 || begin >= from) return lines.slice(from);
  return [...earlier.slice(0, TELLING_LIMIT), CUT, ...lines.slice(from)];
}

function shownLines(bytes: Buffer): string[] {
  return splitLines(bytes)
    .map((line) => visible(line))
    .filter((line) => line.trim() !== '')
    .map((line) => (line.length > LINE_LIMIT ? `${line.slice(0, LINE_LIMIT)}…` : line));
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
