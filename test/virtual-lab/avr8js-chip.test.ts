import { describe, expect, test } from 'vitest';
import { consoleContract, ConsoleAtChip } from './uno-firmware.ts';
import { packageFile } from '../../src/base/package-file.ts';

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
