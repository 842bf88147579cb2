/** An Uno's bootloader on a pty: what avrdude talks to. Source: Atmel AVR061, STK500 Communication Protocol. */

import { readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode } from '../../src/base/errors.ts';

const IN_SYNC = 0x14;
const OK = 0x10;
const END = 0x20;

const GET_PARAMETER = 0x41;
const LOAD_ADDRESS = 0x55;
const PROGRAM_PAGE = 0x64;
const READ_PAGE = 0x74;
const READ_SIGNATURE = 0x75;
const UNIVERSAL = 0x56;

/** Bytes of each command with its end; a page has its own length. */
const LENGTHS = new Map([
  [0x30, 2], // get sync
  [GET_PARAMETER, 3],
  [0x42, 22], // set device
  [0x45, 7], // set extended device
  [0x50, 2], // enter programming mode
  [0x51, 2], // leave it
  [LOAD_ADDRESS, 4],
  [READ_PAGE, 5],
  [READ_SIGNATURE, 2],
  [UNIVERSAL, 6],
]);

const ATMEGA328P = [0x1e, 0x95, 0x0f];

/** A master has no event that Node could wait for without taking it over. */
const LOOK_EACH_MS = 2;

export class Bootloader implements AsyncDisposable {
  readonly flash = Buffer.alloc(32_768, 0xff);
  readonly #masterFd: number;
  readonly #signature: readonly number[];
  readonly #serving: Promise<void>;
  #pending = Buffer.alloc(0);
  #address = 0;
  #isOver = false;

  /** Does not close the master. Another `signature` is that of a chip which avrdude does not expect. */
  constructor(masterFd: number, signature: readonly number[] = ATMEGA328P) {
    this.#masterFd = masterFd;
    this.#signature = signature;
    this.#serving = this.#serve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#serving;
  }

  async #serve(): Promise<void> {
    while (!this.#isOver) {
      this.#pending = Buffer.concat([this.#pending, this.#received()]);
      for (let command = this.#next(); command; command = this.#next()) this.#answer(command);
      await sleep(LOOK_EACH_MS);
    }
  }

  #received(): Buffer {
    const buffer = Buffer.alloc(65_536);
    try {
      return buffer.subarray(0, readSync(this.#masterFd, buffer));
    } catch (error) {
      if (errnoCode(error) !== 'EAGAIN' && errnoCode(error) !== 'EIO') throw error;
      return Buffer.alloc(0);
    }
  }

  #next(): Buffer | undefined {
    const [first] = this.#pending;
    if (first === undefined) return undefined;
    if (first === PROGRAM_PAGE && this.#pending.length < 4) return undefined;
    const length = first === PROGRAM_PAGE ? 5 + this.#pending.readUInt16BE(1) : (LENGTHS.get(first) ?? 1);
    if (this.#pending.length < length) return undefined;
    const command = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return command;
  }

  #answer(command: Buffer): void {
    if (command.at(-1) !== END) return; // noise, or out of step
    writeSync(this.#masterFd, Buffer.from([IN_SYNC, ...this.#obey(command), OK]));
  }

  #obey(command: Buffer): readonly number[] {
    switch (command[0]) {
      case GET_PARAMETER:
        return [4];
      case UNIVERSAL:
        return [0];
      case READ_SIGNATURE:
        return this.#signature;
      case LOAD_ADDRESS:
        this.#address = command.readUInt16LE(1) * 2; // in words
        return [];
      case PROGRAM_PAGE:
        command.subarray(4, -1).copy(this.flash, this.#address);
        return [];
      case READ_PAGE:
        return [...this.flash.subarray(this.#address, this.#address + command.readUInt16BE(1))];
      default:
        return [];
    }
  }
}
