/** What is shown while the command runs. */

import { channelName, type LogRecord } from '../wire/log.ts';
import type { Output } from './output.ts';
import { type Colour, jsonOf, LineView, QUIET_MS } from './view.ts';

export interface LiveView {
  push(record: LogRecord): void;
  /** Shows what is still held back. */
  end(): void;
}

/** For who sees the command's own output and nothing else. */
export const NO_VIEW: LiveView = { push: () => {}, end: () => {} };

/** A line a record of bytes; leaves out what the reader of `output` is too slow for, and says so. */
export class MergedView implements LiveView {
  readonly #output: Output;
  readonly #lines: LineView;
  #leftOut = 0;
  readonly #quiet: NodeJS.Timeout;

  constructor(output: Output, colour: Colour) {
    this.#output = output;
    this.#lines = new LineView(colour, (text) => output.write(Buffer.from(text)));
    this.#quiet = setTimeout(() => this.#lines.flush(), QUIET_MS).unref();
  }

  push(record: LogRecord): void {
    if (this.#output.isBehind) {
      this.#leftOut += record.kind === 'bytes' ? record.bytes.length : 0;
      return;
    }
    this.#tellLeftOut();
    this.#lines.push(record);
    if (this.#lines.hasOpenLines) this.#quiet.refresh();
  }

  end(): void {
    clearTimeout(this.#quiet);
    this.#lines.flush();
    this.#tellLeftOut();
  }

  #tellLeftOut(): void {
    if (this.#leftOut === 0) return;
    this.#lines.flush();
    this.#output.write(
      Buffer.from(`[${this.#leftOut} bytes came too fast to be shown; they are in the files]\n`),
    );
    this.#leftOut = 0;
  }
}

/** One JSON object a record; what the reader is too slow for is left out, and said. */
export class JsonView implements LiveView {
  readonly #output: Output;
  readonly #leftOut = new Map<number, number>();

  constructor(output: Output) {
    this.#output = output;
  }

  push(record: LogRecord): void {
    if (this.#output.isBehind) {
      this.#leftOut.set(record.channel, (this.#leftOut.get(record.channel) ?? 0) + 1);
      return;
    }
    this.#tellLeftOut();
    this.#output.write(Buffer.from(`${jsonOf(record)}\n`));
  }

  end(): void {
    this.#tellLeftOut();
  }

  #tellLeftOut(): void {
    for (const [channel, records] of this.#leftOut) {
      this.#output.write(
        Buffer.from(`${JSON.stringify({ channel: channelName(channel), leftOut: records })}\n`),
      );
    }
    this.#leftOut.clear();
  }
}
