import { readTtyCounters } from '../native/tty-counters.ts';

/** Counts a tty's overruns from when it was made. */
export class Overruns {
  readonly #fd: number;
  readonly #before: number | undefined;

  /** `fd` stays its owner's. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#before = readTtyCounters(fd)?.overruns;
  }

  /** Undefined where nobody counts. Not to be asked once `fd` is closed. */
  get count(): number | undefined {
    if (this.#before === undefined) return undefined;
    const now = readTtyCounters(this.#fd)?.overruns;
    return now === undefined ? undefined : Math.max(0, now - this.#before);
  }
}
