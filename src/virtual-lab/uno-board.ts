import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RigError } from '../base/errors.ts';
import { packageFile } from '../base/package-file.ts';
import type { Board, BoardPlace } from './board.ts';
import { ChipProcess, type ChipReport } from './chip-process.ts';
import { PtyProxy } from './pty-proxy.ts';
import { PulledLines } from './pulled-lines.ts';

/** As short as a finger manages. */
const RESET_PULSE_MS = 20;

/** What goes to the chip ahead of its wire: enough to keep that busy, little enough to be lost by a reset. */
const MAX_AHEAD_BYTES = 4096;

const FIRMWARE = 'src/virtual-lab/firmware/uno/uno.hex';

export interface UnoBoardOptions extends Omit<BoardPlace, 'env'> {
  /** Path of an Intel HEX file for an ATmega328P at 16 MHz; the shipped console firmware when left out. */
  readonly firmware?: string;
}

/**
 * An Arduino Uno, its chip in a process of its own, plugged in and with power; its firmware runs when this resolves.
 *
 * @throws {RigError} blame `config` when the tty's link cannot be made, `unavailable` when the chip does not start
 */
export async function startUnoBoard(options: UnoBoardOptions): Promise<Board> {
  const board = new UnoBoard(options);
  try {
    await board.started;
    return board;
  } catch (error) {
    await board[Symbol.asyncDispose]();
    throw error;
  }
}

class UnoBoard implements Board {
  readonly name: string;
  readonly ttys: readonly string[];
  /** `button` is D2, `led` D13. */
  readonly lines: PulledLines<'reset' | 'button', 'led'>;
  readonly broken: Promise<RigError>;
  readonly started: Promise<void>;
  readonly #tty: PtyProxy;
  readonly #chip: ChipProcess;
  readonly #powerWaiters: (() => void)[] = [];
  #aheadBytes = 0;
  #lostOnLink = 0;
  #isDisposed = false;

  constructor({ name, dir, firmware = packageFile(FIRMWARE), passages }: UnoBoardOptions) {
    this.name = name;
    this.#tty = new PtyProxy(join(dir, `${name}.tty0`), {
      toBoard: (bytes) => this.#toChip(bytes),
      ...(passages && { passages }),
    });
    this.ttys = [this.#tty.path];
    this.lines = new PulledLines({ reset: 1, button: 1 }, ['led'], (line, level) =>
      this.#chip.send({ op: 'line', line, level }),
    );
    this.#chip = new ChipProcess(firmware, (message) => this.#take(message));
    this.started = this.#chip.ready;
    this.broken = new Promise((resolve) => {
      void this.#chip.ended.then((how) => {
        if (!this.#isDisposed)
          resolve(new RigError('unavailable', `${name}: the chip's process ended with ${how}`));
      });
    });
  }

  get lostBytes(): number {
    return this.#tty.lostBytes + this.#lostOnLink;
  }

  async setPower(state: 'on' | 'off'): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.#powerWaiters.push(resolve);
    });
    this.#chip.send({ op: 'power', state });
    const broken = this.broken.then((reason) => {
      throw reason;
    });
    await Promise.race([done, broken]);
  }

  async reset(): Promise<void> {
    this.lines.setResetButton('pressed');
    await delay(RESET_PULSE_MS);
    this.lines.setResetButton('released');
  }

  async unplug(): Promise<void> {
    this.#tty.unplug();
  }

  async plug(): Promise<void> {
    this.#tty.plug();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#tty[Symbol.dispose]();
    await this.#chip[Symbol.asyncDispose]();
  }

  #toChip(bytes: Buffer): void {
    this.#aheadBytes += bytes.length;
    this.#chip.send({ op: 'usart', data: bytes.toString('base64') });
    if (this.#aheadBytes >= MAX_AHEAD_BYTES) this.#tty.setInput('paused');
  }

  #take(message: ChipReport): void {
    switch (message.event) {
      case 'usart':
        this.#lostOnLink += message.lost;
        this.#tty.send(Buffer.from(message.data, 'base64'));
        return;
      case 'taken':
        this.#aheadBytes -= message.bytes;
        if (this.#aheadBytes < MAX_AHEAD_BYTES) this.#tty.setInput('flowing');
        return;
      case 'edge':
        this.lines.seen(message);
        return;
      case 'power':
        this.#powerWaiters.shift()?.();
    }
  }
}
