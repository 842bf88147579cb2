/** How much a command says on stderr: `--quiet`, nothing given, `-v`. */
export type Verbosity = 'quiet' | 'normal' | 'verbose';

/** Source: ECMA-48: carriage return, erase in line. */
const CLEAR_LINE = '\r\x1b[K';

/**
 * What a command tells people, on stderr, one line each, prefixed by the command's name.
 * stdout is left to what was asked for.
 */
export class Diagnostics {
  readonly command: string;
  verbosity: Verbosity = 'normal';
  readonly #write: (text: string) => void;

  constructor(command: string, write: (text: string) => void) {
    this.command = command;
    this.#write = write;
  }

  /** A failure: shown even with `--quiet`. */
  fail(text: string): void {
    this.#line(text);
  }

  /** What is going on, for people who wait. */
  say(text: string): void {
    if (this.verbosity !== 'quiet') this.#line(text);
  }

  /** Why it is going on; only with `-v`. */
  detail(text: string): void {
    if (this.verbosity === 'verbose') this.#line(text);
  }

  /** On a terminal: in place of the last progress; an empty text takes it away. */
  progress(text: string): void {
    if (this.verbosity === 'quiet') return;
    this.#write(text === '' ? CLEAR_LINE : `${CLEAR_LINE}${this.command}: ${text}`);
  }

  #line(text: string): void {
    this.#write(`${this.command}: ${text}\n`);
  }
}
