/**
 * An ATmega328P that runs real firmware, in virtual time: nothing moves but by {@link Avr8jsChip.runCycles},
 * and the same input at the same cycles gives the same output at the same cycles.
 *
 * What avr8js leaves out is added here, from outside. Numbers of registers, bits and vectors are those of the
 * ATmega328P datasheet (DS40002061); addresses are in data space.
 */

import {
  AVRClock,
  AVRIOPort,
  AVRTimer,
  AVRUSART,
  AVRWatchdog,
  avrInstruction,
  CPU,
  clockConfig,
  portBConfig,
  portCConfig,
  portDConfig,
  timer0Config,
  timer1Config,
  timer2Config,
  usart0Config,
  watchdogConfig,
} from 'avr8js';
import type { Level } from '../wire/sim-chip.ts';
import { parseIntelHex } from './intel-hex.ts';

/** Crystal of an Uno. */
export const CHIP_HZ = 16_000_000;

const FLASH_BYTES = 32 * 1024;
const SRAM_BYTES = 2 * 1024;
const SRAM_START = 0x100;

const SMCR = 0x53;
const SMCR_SLEEP_ENABLE = 0x01;
const MCUSR = 0x54;
const WDTCSR = 0x60;
const WATCHDOG_CHANGE_ENABLE = 0x10;
const WATCHDOG_ENABLE = 0x08;

const UCSRA = usart0Config.UCSRA;
const UCSRB = usart0Config.UCSRB;
const RECEIVE_COMPLETE = 0x80;
const TRANSMIT_COMPLETE = 0x40;
const DATA_REGISTER_EMPTY = 0x20;
const DATA_OVERRUN = 0x08;
const RECEIVER_ENABLE = 0x10;

const SLEEP_OPCODE = 0x9588;
const SET_INTERRUPTS_OPCODE = 0x9478;

/** Cycles that a byte takes at 115200 baud while the chip has not said its own rate. */
const DEFAULT_CYCLES_PER_BYTE = 1360;

/** What has waited longer on the way in is lost; a sender at the wire's pace never gets there. */
const MAX_WAITING_BYTES = 64 * 1024;

const RESET_FLAG = { 'power-on': 0x01, external: 0x02, 'brown-out': 0x04, watchdog: 0x08 } as const;

/** Why the chip started, as its register MCUSR tells the firmware. */
export type ResetCause = keyof typeof RESET_FLAG;

/** A pin by port and bit: `B5` is D13 of an Uno. */
export type Pin = `${'B' | 'C' | 'D'}${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7}`;

/** What the world sees of the chip, called while it runs. `cycle` counts from the chip's making, over all resets. */
export interface ChipObserver {
  /** A byte begins to leave the USART. */
  readonly transmitted: (byte: number, cycle: number) => void;
  /** A pin that the firmware drives changed; a pin that it lets go of counts as 0. */
  readonly driven: (pin: Pin, level: Level, cycle: number) => void;
}

export class Avr8jsChip {
  readonly #flash: Uint16Array<ArrayBuffer>;
  readonly #observer: ChipObserver;
  /** Levels from outside; a pin without one floats at its pull-up, or at 0. */
  readonly #levels = new Map<Pin, Level>();
  readonly #lastDriven = new Map<Pin, Level>();
  #core: Core;
  /** Cycles of all cores before this one. */
  #cyclesBefore = 0;
  #receiving: number[] = [];
  #overruns = 0;

  /**
   * A chip that has just got its power. `firmware` is Intel HEX.
   *
   * @throws {RigError} blame `config` when the firmware cannot be read or does not fit
   */
  constructor(firmware: string, observer: ChipObserver) {
    this.#flash = new Uint16Array(parseIntelHex(firmware, FLASH_BYTES).buffer);
    this.#observer = observer;
    this.#core = this.#startCore(RESET_FLAG['power-on']);
  }

  get cycles(): number {
    return this.#cyclesBefore + this.#core.cpu.cycles;
  }

  /** Received bytes that the firmware did not fetch in time, or was not listening for. */
  get overruns(): number {
    return this.#overruns;
  }

  /** Received bytes that have not yet gone over the wire. */
  get waitingBytes(): number {
    return this.#receiving.length;
  }

  /** Runs at least `count` cycles, and no more than the instruction or interrupt that ends them takes. */
  runCycles(count: number): void {
    const end = this.cycles + count;
    while (this.cycles < end) {
      this.#core.run(end - this.#cyclesBefore);
      if (this.#core.watchdogFired) this.reset('watchdog');
    }
  }

  /** Back to the reset vector: every register as after power-on, the memory kept unless the power was off. */
  reset(cause: ResetCause): void {
    const old = this.#core.cpu;
    const isPowerOn = cause === 'power-on';
    // Flags add up until the firmware clears them; only power-on clears the others. Source: datasheet, 11.9.1.
    const flags = RESET_FLAG[cause] | (isPowerOn ? 0 : old.readData(MCUSR));
    this.#cyclesBefore += old.cycles;
    this.#receiving = [];
    this.#core = this.#startCore(flags, isPowerOn ? undefined : old.data.subarray(SRAM_START));
    for (const pin of this.#lastDriven.keys()) this.#tellDriven(pin, 0);
  }

  /** Bytes on their way into the USART, one after the other at the rate that the firmware has set. */
  receive(bytes: Iterable<number>): void {
    const wasIdle = this.#receiving.length === 0;
    for (const byte of bytes) {
      if (this.#receiving.length < MAX_WAITING_BYTES) this.#receiving.push(byte);
      else this.#overruns++;
    }
    if (wasIdle && this.#receiving.length > 0) this.#scheduleReceive();
  }

  /** The level that the outside gives a pin from now on. */
  setPin(pin: Pin, level: Level): void {
    this.#levels.set(pin, level);
    applyLevel(this.#core, pin, level);
  }

  /** A new core for each reset: what avr8js resets leaves peripherals, hooks and clock events as they were. */
  #startCore(resetFlags: number, memory?: Uint8Array): Core {
    const core = new Core(this.#flash, {
      transmitted: (byte) => this.#observer.transmitted(byte, this.cycles),
      driven: (pin, level) => this.#tellDriven(pin, level),
    });
    if (memory) core.cpu.data.set(memory, SRAM_START);
    core.cpu.data[MCUSR] = resetFlags;
    if (resetFlags & RESET_FLAG.watchdog) core.keepWatchdogRunning();
    for (const [pin, level] of this.#levels) applyLevel(core, pin, level);
    return core;
  }

  #tellDriven(pin: Pin, level: Level): void {
    if ((this.#lastDriven.get(pin) ?? 0) === level) return;
    this.#lastDriven.set(pin, level);
    this.#observer.driven(pin, level, this.cycles);
  }

  #scheduleReceive(): void {
    const core = this.#core;
    core.cpu.addClockEvent(() => {
      const byte = this.#receiving.shift();
      if (byte !== undefined && !core.deliver(byte)) this.#overruns++;
      if (this.#receiving.length > 0) this.#scheduleReceive();
    }, core.cyclesPerByte);
  }
}

function applyLevel(core: Core, pin: Pin, level: Level): void {
  core.ports[pin[0] as 'B' | 'C' | 'D'].setPin(Number(pin[1]), level === 1);
}

/** The CPU and its peripherals from one reset to the next. */
class Core {
  readonly cpu: CPU;
  readonly ports: Readonly<Record<'B' | 'C' | 'D', AVRIOPort>>;
  watchdogFired = false;
  readonly #usart: AVRUSART;
  #isAsleep = false;

  constructor(
    flash: Uint16Array,
    observer: { transmitted: (byte: number) => void; driven: (pin: Pin, level: Level) => void },
  ) {
    this.cpu = new CPU(flash, SRAM_BYTES);
    // Called by the watchdog in the middle of a clock event; the chip starts a new core after it.
    this.cpu.reset = () => {
      this.watchdogFired = true;
    };
    this.ports = {
      B: new AVRIOPort(this.cpu, portBConfig),
      C: new AVRIOPort(this.cpu, portCConfig),
      D: new AVRIOPort(this.cpu, portDConfig),
    };
    for (const [name, port] of Object.entries(this.ports)) watchPort(this.cpu, name, port, observer.driven);
    for (const config of [timer0Config, timer1Config, timer2Config]) new AVRTimer(this.cpu, config);
    new AVRWatchdog(this.cpu, watchdogConfig, new AVRClock(this.cpu, CHIP_HZ, clockConfig));
    this.#usart = makeUsart(this.cpu);
    this.#usart.onByteTransmit = observer.transmitted;
  }

  /** Until the cycle counter reaches `end` or the watchdog fires. */
  run(end: number): void {
    const { cpu } = this;
    const flash = cpu.progMem;
    while (cpu.cycles < end && !this.watchdogFired) {
      if (this.#isAsleep) {
        this.#sleepOn(end);
        continue;
      }
      const opcode = flash[cpu.pc];
      avrInstruction(cpu);
      if (opcode === SLEEP_OPCODE) this.#isAsleep = (cpu.readData(SMCR) & SMCR_SLEEP_ENABLE) !== 0;
      // The instruction after `sei` runs before any interrupt. Source: datasheet, 7.7.
      if (opcode === SET_INTERRUPTS_OPCODE || this.#isAsleep) continue;
      cpu.tick();
    }
  }

  /** After a watchdog reset the watchdog goes on at its shortest time until it is told off. Source: datasheet, 11.9.2. */
  keepWatchdogRunning(): void {
    this.cpu.writeData(WDTCSR, WATCHDOG_CHANGE_ENABLE | WATCHDOG_ENABLE);
    this.cpu.writeData(WDTCSR, WATCHDOG_ENABLE);
  }

  get cyclesPerByte(): number {
    return this.#usart.rxEnable ? this.#usart['cyclesPerChar'] : DEFAULT_CYCLES_PER_BYTE;
  }

  /** False when the firmware does not listen, or has not fetched the byte before. */
  deliver(byte: number): boolean {
    if (!this.#usart.rxEnable) return false;
    if ((this.cpu.readData(UCSRA) & RECEIVE_COMPLETE) !== 0) {
      this.cpu.data[UCSRA] = this.cpu.readData(UCSRA) | DATA_OVERRUN;
      return false;
    }
    this.#usart.writeByte(byte, true);
    return true;
  }

  /** avr8js takes SLEEP for a NOP; here time jumps to whatever wakes the chip, which also spares the host's CPU. */
  #sleepOn(end: number): void {
    const { cpu } = this;
    const asleepAt = cpu.pc;
    for (;;) {
      cpu.tick();
      // An interrupt that is taken moves the program counter; nothing else does while the chip sleeps.
      this.#isAsleep = cpu.pc === asleepAt;
      if (!this.#isAsleep || this.watchdogFired || cpu.cycles >= end) return;
      const next = cpu['nextClockEvent']?.cycles ?? end;
      cpu.cycles = Math.max(cpu.cycles, Math.min(next, end));
    }
  }
}

function watchPort(cpu: CPU, name: string, port: AVRIOPort, driven: (pin: Pin, level: Level) => void): void {
  let before = 0;
  port.addListener((value) => {
    const driving = cpu.readData(port.portConfig.DDR) & value;
    const changed = driving ^ before;
    before = driving;
    for (let bit = 0; changed >> bit !== 0; bit++) {
      if (changed & (1 << bit)) driven(`${name}${bit}` as Pin, driving & (1 << bit) ? 1 : 0);
    }
  });
}

/** The USART with what avr8js gets wrong put right. */
function makeUsart(cpu: CPU): AVRUSART {
  const usart = new AVRUSART(cpu, usart0Config, CHIP_HZ);
  // "Data register empty" interrupts for as long as it is empty, not once.
  usart['UDRE'].constant = true;

  // A write to UCSRA changes settings and clears what is written as 1; the states stay. In avr8js they are lost.
  const STATES = RECEIVE_COMPLETE | DATA_REGISTER_EMPTY | DATA_OVERRUN;
  afterWrite(cpu, UCSRA, (value, before) => {
    const kept = before & (STATES | (value & TRANSMIT_COMPLETE ? 0 : TRANSMIT_COMPLETE));
    cpu.data[UCSRA] = cpu.readData(UCSRA) | kept;
  });

  // A write to UCSRB leaves a received byte waiting, unless it turns the receiver off.
  afterWrite(cpu, UCSRB, (value, before, statesBefore) => {
    if (before & value & RECEIVER_ENABLE && statesBefore & RECEIVE_COMPLETE) {
      cpu.setInterruptFlag(usart['RXC']);
    }
  });
  return usart;
}

/** Runs `correct` after avr8js's own hook of that register. */
function afterWrite(
  cpu: CPU,
  register: number,
  correct: (value: number, before: number, statesBefore: number) => void,
): void {
  const original = cpu.writeHooks[register];
  cpu.writeHooks[register] = (value, before, address, mask) => {
    const statesBefore = cpu.readData(UCSRA);
    const done = original?.(value, before, address, mask) ?? false;
    correct(value, before, statesBefore);
    return done;
  };
}
