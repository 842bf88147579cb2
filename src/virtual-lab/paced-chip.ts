import type { Level } from '../wire/sim-chip.ts';
import { Avr8jsChip, CHIP_HZ, type Pin } from './avr8js-chip.ts';
import type { FromChip, ToChip } from './chip-link.ts';

const CYCLES_PER_MS = CHIP_HZ / 1000;

/** Keeps the answer to input prompt while a busy host is caught up with. */
const MAX_SLICE_MS = 4;

/** A chip that the host kept waiting for longer has lost that time, as if its crystal had stopped. */
const MAX_CATCH_UP_MS = 50;

const BUTTON_PIN: Pin = 'D2';
const LED_PIN: Pin = 'B5';

/**
 * The chip of an Uno, its reset circuit and its power supply, kept in step with a clock.
 * Time passes only in {@link PacedChip.advance}: whoever owns it calls that every millisecond or so.
 */
export class PacedChip {
  readonly #chip: Avr8jsChip;
  readonly #clock: () => number;
  readonly #tell: (event: FromChip) => void;
  #power: 'on' | 'off' = 'on';
  #resetLevel: Level = 1;
  /** Chip time and clock time agreed here. */
  #anchor: { readonly ms: number; readonly cycle: number };
  #output: number[] = [];
  /** Bytes for the USART that are not yet told of as taken. */
  #untakenBytes = 0;

  /**
   * `clock` gives milliseconds of CLOCK_MONOTONIC.
   *
   * @throws {RigError} blame `config` when `firmware`, Intel HEX, cannot be loaded
   */
  constructor(firmware: string, clock: () => number, tell: (event: FromChip) => void) {
    this.#clock = clock;
    this.#tell = tell;
    this.#chip = new Avr8jsChip(firmware, {
      transmitted: (byte) => this.#output.push(byte),
      driven: (pin, level, cycle) => {
        if (pin === LED_PIN) this.#edge('led', level, this.#timeOf(cycle));
      },
    });
    this.#chip.setPin(BUTTON_PIN, 1);
    this.#anchor = { ms: clock(), cycle: 0 };
  }

  /** Whether time means anything to the chip: it has power and is not held in reset. */
  get isRunning(): boolean {
    return this.#power === 'on' && this.#resetLevel === 1;
  }

  /** Lets the chip run up to now, or by one slice; true when it is still behind. */
  advance(): boolean {
    if (!this.isRunning) return false;
    const now = this.#clock();
    const behindMs = now - this.#timeOf(this.#chip.cycles);
    if (behindMs > MAX_CATCH_UP_MS) {
      this.#anchor = { ms: now - MAX_CATCH_UP_MS, cycle: this.#chip.cycles };
    }
    const sliceMs = Math.min(behindMs, MAX_SLICE_MS);
    if (sliceMs > 0) this.#chip.runCycles(Math.floor(sliceMs * CYCLES_PER_MS));
    this.#flushOutput();
    this.#tellTaken();
    return behindMs > MAX_SLICE_MS;
  }

  /** What the lab asks for happens at the chip's present time. */
  take(message: ToChip): void {
    this.advance();
    switch (message.op) {
      case 'usart':
        this.#receive(Buffer.from(message.data, 'base64'));
        break;
      case 'line':
        if (message.line === 'button') this.#chip.setPin(BUTTON_PIN, message.level);
        else this.#setReset(message.level);
        this.#edge(message.line, message.level, this.#clock());
        break;
      case 'power':
        this.#setPower(message.state);
        this.#tell({ event: 'power', state: this.#power });
    }
    this.#tellTaken();
  }

  #receive(bytes: Buffer): void {
    this.#untakenBytes += bytes.length;
    // A chip that does not run hears nothing: the bytes go over the wire all the same.
    if (this.isRunning) this.#chip.receive(bytes);
  }

  #tellTaken(): void {
    const bytes = this.#untakenBytes - this.#chip.waitingBytes;
    if (bytes === 0) return;
    this.#untakenBytes -= bytes;
    this.#tell({ event: 'taken', bytes });
  }

  #setReset(level: Level): void {
    // The chip is reset while the line is low; it leaves from there when the line rises.
    if (level === 0 && this.#resetLevel === 1 && this.#power === 'on') this.#chip.reset('external');
    this.#resetLevel = level;
    this.#startClock();
  }

  #setPower(state: 'on' | 'off'): void {
    // Without power the pins float and the memory is lost; the same state is where it begins with power.
    if (state !== this.#power) this.#chip.reset('power-on');
    this.#power = state;
    this.#startClock();
  }

  #startClock(): void {
    this.#anchor = { ms: this.#clock(), cycle: this.#chip.cycles };
  }

  #timeOf(cycle: number): number {
    return this.#anchor.ms + (cycle - this.#anchor.cycle) / CYCLES_PER_MS;
  }

  #edge(line: 'reset' | 'button' | 'led', level: Level, monotonicMs: number): void {
    this.#flushOutput();
    this.#tell({ event: 'edge', line, level, monotonicMs });
  }

  #flushOutput(): void {
    if (this.#output.length === 0) return;
    const data = Buffer.from(this.#output).toString('base64');
    this.#output = [];
    this.#tell({ event: 'usart', data, lost: 0 });
  }
}
