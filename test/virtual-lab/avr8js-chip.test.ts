import { describe, expect, test } from 'vitest';
import { packageFile } from '../../src/base/package-file.ts';
import { Avr8jsChip, CHIP_HZ } from '../../src/virtual-lab/avr8js-chip.ts';
import { ConsoleAtChip, consoleContract } from './uno-firmware.ts';

const HEX = packageFile('src/virtual-lab/firmware/uno/uno.hex');

describe('the committed firmware', () => {
  consoleContract(HEX, 'avr-gcc 5.4.0');
});

describe('virtual time', () => {
  const session = (sliceMs: number): string[] => {
    const board = new ConsoleAtChip(HEX);
    const run = (ms: number): void => {
      for (let done = 0; done < ms; done += sliceMs) board.runMs(sliceMs);
    };
    run(20);
    board.type('echo deterministic\rspew 300\rled on\r');
    run(60);
    board.chip.setPin('D2', 0);
    run(20);
    board.type('panic\r');
    run(100);
    return board.trace;
  };

  test('two runs give the same bytes at the same cycles', () => {
    const first = session(1);
    expect(first.length).toBeGreaterThan(600);
    expect(session(1)).toEqual(first);
  });

  test('it does not matter in which slices time passes', () => {
    // Input comes between slices; a slice may end one instruction late, and with it the input.
    const bytesOf = (trace: string[]): string[] => trace.map((each) => each.split(':')[1] ?? '');
    expect(bytesOf(session(20))).toEqual(bytesOf(session(0.5)));
  });
});

describe('what avr8js leaves out', () => {
  /** A chip with a program of bare words, and the bytes that it says. */
  const chipWith = (words: readonly number[]): { chip: Avr8jsChip; said: number[] } => {
    const said: number[] = [];
    const chip = new Avr8jsChip(intelHex(words), {
      transmitted: (byte) => said.push(byte),
      driven: () => {},
    });
    return { chip, said };
  };
  const STOP = [0xcfff]; // rjmp .
  const SAY_UCSRA = [0x9110, 0x00c0, 0x9310, 0x00c6]; // lds r17, UCSR0A; sts UDR0, r17
  const setUcsrb = (value: number): number[] => [ldi(16, value), 0x9300, 0x00c1];
  const setUcsra = (value: number): number[] => [ldi(16, value), 0x9300, 0x00c0];
  const UNTIL_RECEIVED = [0x9110, 0x00c0, 0xff17, 0xcffc]; // lds r17, UCSR0A; sbrs r17, 7; rjmp back

  test('a write to UCSR0A leaves "data register empty" as it is', () => {
    const { chip, said } = chipWith([...setUcsrb(0x08), ...setUcsra(0x02), ...SAY_UCSRA, ...STOP]);
    chip.runCycles(100);
    expect(said).toEqual([0x22]);
  });

  test('a write to UCSR0B leaves a received byte waiting', () => {
    const { chip, said } = chipWith([
      ...setUcsrb(0x18),
      ...UNTIL_RECEIVED,
      ...setUcsrb(0x38),
      ...SAY_UCSRA,
      ...STOP,
    ]);
    chip.runCycles(100);
    chip.receive([0x78]);
    chip.runCycles(10_000);
    expect(said).toEqual([0xa0]);
  });

  test('the watchdog goes on after its reset until the firmware stops it', () => {
    const sayMcusr = [0x9110, 0x0054, 0x9310, 0x00c6];
    const stopAfterWatchdog = [0xfd13, 0xcfff]; // sbrc r17, WDRF; rjmp .
    const enableWatchdog = [ldi(16, 0x18), 0x9300, 0x0060, ldi(16, 0x08), 0x9300, 0x0060];
    const { chip, said } = chipWith([
      ...setUcsrb(0x08),
      ...sayMcusr,
      ...stopAfterWatchdog,
      ...enableWatchdog,
      ...STOP,
    ]);
    chip.runCycles(CHIP_HZ / 10);
    expect(said.slice(0, 4)).toEqual([0x01, 0x09, 0x09, 0x09]);
  });

  test('an interrupt that waits at `sei` still wakes the `sleep` after it', () => {
    const isr = [...setUcsrb(0x08), 0x9518]; // reti
    const main = [
      ...setUcsrb(0x28),
      ldi(18, 1),
      0x9320,
      0x0053,
      0x9478,
      0x9588,
      ldi(17, 0x55),
      0x9310,
      0x00c6,
    ];
    const words = Array.from({ length: 0x30 }, () => 0);
    words[0] = 0xc02f; // rjmp main
    words.splice(0x26, isr.length, ...isr);
    const { chip, said } = chipWith([...words, ...main, ...STOP]);
    chip.runCycles(1000);
    expect(said).toEqual([0x55]);
  });

  test('bytes that nobody fetches or listens for are counted as lost', () => {
    const { chip } = chipWith([...setUcsrb(0x18), ...STOP]);
    chip.runCycles(100);
    chip.receive([1, 2, 3]);
    chip.runCycles(100_000);
    expect(chip.overruns).toBe(2);
    const { chip: deaf } = chipWith(STOP);
    deaf.receive([1, 2, 3]);
    deaf.runCycles(100_000);
    expect(deaf.overruns).toBe(3);
    expect(deaf.waitingBytes).toBe(0);
  });
});

function ldi(register: number, value: number): number {
  return 0xe000 | ((value & 0xf0) << 4) | ((register - 16) << 4) | (value & 0x0f);
}

function intelHex(words: readonly number[]): string {
  const records = words.map((word, index) => {
    const bytes = [2, (index * 2) >> 8, (index * 2) & 0xff, 0, word & 0xff, word >> 8];
    const sum = bytes.reduce((total, byte) => total + byte, 0);
    return `:${Buffer.from([...bytes, -sum & 0xff]).toString('hex')}`;
  });
  return `${records.join('\n')}\n:00000001ff\n`;
}
