import { readTtyCounters } from '../native/tty-counters.ts';

/**
 * Counts a tty's overruns from when it was made. A tty that has hung up tells nothing any more: what it had said when it
 * was last looked at stays.
 */
export class Overruns {
  readonly #fd: number;
  readonly #before: number | undefined;
  #last = 0;

  /** `fd` stays its owner's. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#before = readTtyCounters(fd)?.overruns;
  }

  /** Undefined where nobody counts. */
  get count(): number | undefined {
    return this.#before === undefined ? undefined : this.#last;
  }

  /** With each read, so that no more than the last is not told of. Not once `fd` is closed. */
  look(): void {
    if (this.#before === undefined) return;
    const now = readTtyCounters(this.#fd)?.overruns;
    if (now !== undefined) this.#last = Math.max(0, now - this.#before);
  }
}
