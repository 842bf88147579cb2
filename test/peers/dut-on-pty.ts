/** A DUT on a pty pair, scripted as behaviour: real bytes through a real tty, in whole chunks or one at a time. */

import { closeSync, readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode } from '../../src/base/errors.ts';
import { openPty } from '../../src/native/pty.ts';

export type Chunking = 'whole chunks' | 'one byte at a time';
export const CHUNKINGS: readonly Chunking[] = ['whole chunks', 'one byte at a time'];

/** How often a DUT looks at its input: a master has no event that Node could wait for without taking it over. */
const LOOK_EACH_MS = 2;

export class DutOnPty implements AsyncDisposable {
  readonly ttyPath: string;
  /** Keeps the tty alive between its users, as a lease does. */
  readonly ttyFd: number;
  readonly #masterFd: number;
  readonly #chunking: Chunking;
  readonly #answers: { readonly when: string; readonly act: (dut: DutOnPty) => void }[] = [];
  #received = '';
  #searchedTo = 0;
  #isPluggedIn = true;
  #isListening = false;
  #listening: Promise<void> = Promise.resolve();

  constructor(chunking: Chunking = 'whole chunks') {
    const { masterFd, ttyFd, ttyPath } = openPty();
    this.#masterFd = masterFd;
    this.ttyFd = ttyFd;
    this.ttyPath = ttyPath;
    this.#chunking = chunking;
  }

  /** Says it at once; what the tty cannot hold is lost, as on a wire. Returns how many bytes got in. */
  say(text: string | Uint8Array): number {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text; // no copy of all that waits
    const size = this.#chunking === 'whole chunks' ? bytes.length : 1;
    let taken = 0;
    try {
      while (taken < bytes.length)
        taken += writeSync(this.#masterFd, bytes, taken, Math.min(size, bytes.length - taken));
    } catch (error) {
      if (errnoCode(error) !== 'EAGAIN') throw error;
    }
    return taken;
  }

  /** Says all of it, waiting for room. */
  async sayAll(text: string | Uint8Array): Promise<void> {
    let rest: Uint8Array = typeof text === 'string' ? Buffer.from(text) : text;
    while (rest.length > 0 && this.#isPluggedIn) {
      rest = rest.subarray(this.say(rest));
      if (rest.length > 0) await sleep(1);
    }
  }

  /** From now on, does `act` each time the board has been sent `when`. */
  on(when: string, act: string | ((dut: DutOnPty) => void)): this {
    this.#answers.push({ when, act: typeof act === 'string' ? (dut) => dut.say(act) : act });
    if (!this.#isListening) {
      this.#isListening = true;
      this.#listening = this.#listen();
    }
    return this;
  }

  /** Everything that was sent to the board, up to now. */
  heard(): string {
    this.#take();
    return this.#received;
  }

  #take(): void {
    const buffer = Buffer.alloc(65_536);
    let text = '';
    try {
      for (;;) text += buffer.toString('latin1', 0, readSync(this.#masterFd, buffer));
    } catch (error) {
      // EIO: nobody has the tty open
      if (errnoCode(error) !== 'EAGAIN' && errnoCode(error) !== 'EIO') throw error;
    }
    this.#received += text;
  }

  /** Takes the cable out. */
  unplug(): void {
    if (!this.#isPluggedIn) return;
    this.#isPluggedIn = false;
    closeSync(this.#masterFd);
    closeSync(this.ttyFd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.unplug();
    await this.#listening;
  }

  async #listen(): Promise<void> {
    while (this.#isPluggedIn) {
      this.#take();
      this.#answer();
      await sleep(LOOK_EACH_MS);
    }
  }

  #answer(): void {
    for (;;) {
      const unanswered = this.#received.slice(this.#searchedTo);
      const next = this.#answers
        .map((answer) => ({ answer, at: unanswered.indexOf(answer.when) }))
        .filter(({ at }) => at >= 0)
        .sort((a, b) => a.at - b.at)[0];
      if (!next || !this.#isPluggedIn) return;
      this.#searchedTo += next.at + next.answer.when.length;
      next.answer.act(this);
    }
  }
}
