/** Where a board is plugged in: a link that stays the same, as in /dev/serial/by-path, to whatever pty is behind it. */

import { closeSync, readSync, renameSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { openPty, type PtyPair } from '../../src/native/pty.ts';

export class Port implements Disposable {
  readonly path: string;
  #board: PtyPair | undefined;

  constructor(path: string) {
    this.path = path;
    this.plugIn();
  }

  get board(): PtyPair {
    if (!this.#board) throw new Error(`nothing is plugged in at ${this.path}`);
    return this.#board;
  }

  /** A board with a new tty. */
  plugIn(board: PtyPair = openPty()): PtyPair {
    this.#board = board;
    // In one step: a link that is there leads somewhere.
    symlinkSync(board.ttyPath, `${this.path}.new`);
    renameSync(`${this.path}.new`, this.path);
    return board;
  }

  /** Hangs the tty up; its node and the link are gone. */
  unplug(): void {
    if (!this.#board) return;
    rmSync(this.path, { force: true });
    closeSync(this.#board.masterFd);
    closeSync(this.#board.ttyFd);
    this.#board = undefined;
  }

  /** What fits into the tty. */
  say(text: string): void {
    writeSync(this.board.masterFd, text);
  }

  /** What was sent to the board since the last question. */
  heard(): string {
    const buffer = Buffer.alloc(65_536);
    return buffer.toString('latin1', 0, readSync(this.board.masterFd, buffer));
  }

  [Symbol.dispose](): void {
    this.unplug();
  }
}
