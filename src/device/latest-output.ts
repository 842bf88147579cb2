/** Shows on stdout the latest of a list that changes: repaints a terminal, appends to anything else. */

import { writeSync } from 'node:fs';
import { isatty, type WriteStream } from 'node:tty';
import { errnoCode } from '../base/errors.ts';
import { isAbandoned, isWritable, WRITABLE_BYTES } from '../native/poll.ts';
import type { Listing } from './list.ts';

/** Source: ECMA-48, CPL and ED: to the start of the line that many up, and everything from there on erased. */
const upAndErase = (lines: number): string => `${lines > 0 ? `\u001b[${lines}F` : '\r'}\u001b[J`;
/** Source: ECMA-48, CUP and ED. */
const ERASE_ALL = '\u001b[H\u001b[2J';

const STDOUT = 1;

/**
 * Never waits for a reader that is slow or has stopped for ever: while one is behind, nothing new is shown, and later
 * only the latest. Changes no setting of a terminal, so that there is nothing to be restored, whatever ends us.
 */
export class LatestOutput implements Disposable {
  readonly #format: 'text' | 'json';
  readonly #terminal: WriteStream | undefined;
  readonly #onNewScreen: () => void;
  #pending: Uint8Array = new Uint8Array(0);
  #shown = new Map<string, string>();
  /** Rows on the terminal, above the cursor; undefined when we cannot know. */
  #painted: number | undefined = 0;
  #hasReader = true;

  /** `onNewScreen` is told when there is reason to show it again. */
  constructor(format: 'text' | 'json', onNewScreen: () => void) {
    this.#format = format;
    this.#terminal = format === 'text' && isatty(STDOUT) ? process.stdout : undefined;
    this.#onNewScreen = () => {
      this.#painted = undefined;
      this.#shown.clear();
      onNewScreen();
    };
    // The terminal may have wrapped or joined lines; after Ctrl-Z and fg the shell has written below them.
    this.#terminal?.on('resize', this.#onNewScreen);
    if (this.#terminal) process.on('SIGCONT', this.#onNewScreen);
  }

  /** Whether the reader has taken everything; takes the chance to give it more. */
  isIdle(): boolean {
    try {
      while (this.#pending.length > 0 && isWritable(STDOUT)) {
        const written = writeSync(STDOUT, this.#pending.subarray(0, WRITABLE_BYTES));
        this.#pending = this.#pending.subarray(written);
      }
    } catch (error) {
      if (errnoCode(error) === 'EPIPE' || errnoCode(error) === 'EIO') this.#hasReader = false;
      else if (errnoCode(error) !== 'EAGAIN') throw error;
    }
    return this.#pending.length === 0;
  }

  isAbandoned(): boolean {
    return !this.#hasReader || isAbandoned(STDOUT);
  }

  /** Once it is idle: whatever differs from what was shown. */
  show(listings: readonly Listing[]): void {
    const before = this.#shown;
    const line = ({ device, text }: Listing): string =>
      this.#format === 'json' ? JSON.stringify(device) : text;
    const lines = new Map(listings.map((each) => [each.device.name, line(each)]));
    const changed = [...lines].filter(([name, text]) => before.get(name) !== text).map(([, text]) => text);
    if (changed.length === 0) return;
    this.#shown = lines;
    this.#pending = Buffer.from(this.#textOf([...lines.values()], changed));
    this.isIdle();
  }

  [Symbol.dispose](): void {
    this.#terminal?.off('resize', this.#onNewScreen);
    process.off('SIGCONT', this.#onNewScreen);
  }

  #textOf(lines: readonly string[], changed: readonly string[]): string {
    if (this.#terminal) return this.#paint(this.#terminal, lines);
    return this.#format === 'json' ? `${changed.join('\n')}\n` : `${lines.join('\n')}\n\n`;
  }

  /** Each on one row, and no more of them than there are rows: else the way back up would be another. */
  #paint(terminal: WriteStream, lines: readonly string[]): string {
    // A terminal that does not know its size says 0.
    const columns = terminal.columns || Number.POSITIVE_INFINITY;
    const room = Math.max(1, (terminal.rows || Number.POSITIVE_INFINITY) - 1);
    const fits = lines.length <= room;
    const shown = fits ? lines : [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`];
    const back = this.#painted === undefined ? ERASE_ALL : upAndErase(this.#painted);
    this.#painted = shown.length;
    return back + shown.map((each) => `${cut(each, columns)}\n`).join('');
  }
}

function cut(text: string, columns: number): string {
  return text.length < columns ? text : `${text.slice(0, Math.max(0, columns - 2))}…`;
}
