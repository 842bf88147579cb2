import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { Avr8jsChip, CHIP_HZ, type ResetCause } from '../../src/virtual-lab/avr8js-chip.ts';

const CYCLES_PER_MS = CHIP_HZ / 1000;
const PROMPT = '\r\n> ';

/** A chip in virtual time, and somebody at its console. */
export class ConsoleAtChip {
  readonly chip: Avr8jsChip;
  output = '';
  /** Every byte with the cycle at which it began to leave. */
  readonly trace: string[] = [];
  readonly led: number[] = [];

  constructor(hexFile: string) {
    this.chip = new Avr8jsChip(readFileSync(hexFile, 'latin1'), {
      transmitted: (byte, cycle) => {
        this.output += String.fromCharCode(byte);
        this.trace.push(`${cycle}:${byte}`);
      },
      driven: (pin, level) => {
        if (pin === 'B5') this.led.push(level);
      },
    });
    this.chip.setPin('D2', 1);
  }

  runMs(ms: number): void {
    this.chip.runCycles(ms * CYCLES_PER_MS);
  }

  /** What the chip says until it ends with `end`. */
  until(end: string, limitMs = 5000): string {
    for (let ms = 0; ms < limitMs && !this.output.endsWith(end); ms++) this.runMs(1);
    const said = this.output;
    this.output = '';
    if (!said.endsWith(end)) throw new Error(`expected ${JSON.stringify(end)}, got ${JSON.stringify(said)}`);
    return said;
  }

  type(text: string): void {
    this.chip.receive(Buffer.from(text, 'latin1'));
  }

  /** The answer to a command: what comes after its echo and before the next prompt. */
  ask(command: string, limitMs?: number): string {
    this.type(`${command}\r`);
    const said = this.until(PROMPT, limitMs);
    expect(said.slice(0, command.length + 2)).toBe(`${command}\r\n`);
    return said.slice(command.length + 2, -PROMPT.length);
  }

  reset(cause: ResetCause): string {
    this.output = '';
    this.chip.reset(cause);
    return this.until(PROMPT);
  }
}

/** What every image of the console firmware does, whichever compiler built it. */
export function consoleContract(hexFile: string, compiler: string): void {
  const booted = (): ConsoleAtChip => {
    const board = new ConsoleAtChip(hexFile);
    board.until(PROMPT);
    return board;
  };

  test('each reset is told with its cause', () => {
    const board = new ConsoleAtChip(hexFile);
    const banner = (cause: string): string => `\r\nsai-uno 1.0.0 (reset: ${cause})\r\nready\r\n> `;
    expect(board.until(PROMPT)).toBe(banner('power-on'));
    expect(board.reset('external')).toBe(banner('external'));
    expect(board.reset('brown-out')).toBe(banner('brown-out'));
    expect(board.reset('power-on')).toBe(banner('power-on'));
  });

  test('the commands answer in their exact words', () => {
    const board = booted();
    expect(board.ask('version')).toBe(`sai-uno 1.0.0, built with ${compiler}`);
    expect(board.ask('echo to be  or not')).toBe('to be  or not');
    expect(board.ask('led')).toBe('led off');
    expect(board.ask('led on')).toBe('led on');
    expect(board.ask('led off')).toBe('led off');
    expect(board.led).toEqual([1, 0]);
    expect(board.ask('pin')).toBe('button released');
    expect(board.ask('reboot now')).toBe('unknown command: reboot now');
    expect(board.ask('uptime')).toMatch(/^uptime \d+ ms$/);
  });

  test('uptime counts the milliseconds of the chip', () => {
    const board = booted();
    const uptime = (): number => Number(/uptime (\d+)/.exec(board.ask('uptime'))?.[1]);
    const start = { told: uptime(), cycle: board.chip.cycles };
    board.runMs(1000);
    const passedMs = (board.chip.cycles - start.cycle) / CYCLES_PER_MS;
    const toldMs = uptime() - start.told;
    // The two readings were taken a few milliseconds of console traffic apart.
    expect(Math.abs(toldMs - passedMs)).toBeLessThan(10);
  });

  test('a line ends with CR, LF or both, and can be corrected before', () => {
    const board = booted();
    for (const end of ['\r', '\n', '\r\n']) {
      board.type(`echo a${end}`);
      expect(board.until(PROMPT)).toBe('echo a\r\na\r\n> ');
      board.runMs(10);
      expect(board.output).toBe('');
    }
    board.type('echo ax\x7fb\r');
    expect(board.until(PROMPT)).toBe('echo ax\b \bb\r\nab\r\n> ');
    board.type('panic\x03');
    expect(board.until(PROMPT)).toBe('panic^C\r\n> ');
    board.type('\r');
    expect(board.until(PROMPT)).toBe(PROMPT);
  });

  test('lines pasted all at once are all answered', () => {
    const board = booted();
    const pasted = Array.from({ length: 20 }, (_, index) => `echo ${index}`);
    board.type(`${pasted.join('\r')}\r`);
    board.until('19\r\n> ');
    expect(board.chip.overruns).toBe(0);
  });

  test('the button tells each debounced change below what is being typed', () => {
    const board = booted();
    board.type('echo h');
    board.until('echo h');
    board.chip.setPin('D2', 0);
    expect(board.until('echo h')).toBe('\r\nbutton pressed\r\n> echo h');
    board.type('i\r');
    expect(board.until(PROMPT)).toBe('i\r\nhi\r\n> ');
    expect(board.ask('pin')).toBe('button pressed');
    board.chip.setPin('D2', 1);
    expect(board.until(PROMPT)).toBe('\r\nbutton released\r\n> ');
    for (const level of [0, 1, 0, 1] as const) {
      board.chip.setPin('D2', level);
      board.runMs(2);
    }
    board.runMs(20);
    expect(board.output).toBe('');
  });

  test.each([0, 1, 64, 5000])('spew of %d bytes says how many it sent and their checksum', (size) => {
    const said = booted().ask(`spew ${size}`);
    const begin = `spew: begin ${size}\r\n`;
    const payload = said.slice(begin.length, begin.length + size);
    const checksum = crc32(payload).toString(16).padStart(8, '0');
    expect(said).toBe(`${begin}${payload}\r\nspew: sent ${size} bytes, crc32 ${checksum}`);
    expect(payload).toMatch(/^(?:[ -~]{63}\n)*[ -~]{0,63}$/);
    expect(new Set(payload.split('\n')).size).toBe(Math.floor(size / 64) + 1);
  });

  test('spew with something else than a number says so', () => {
    expect(booted().ask('spew lots')).toBe('spew: expected a number of bytes, got lots');
  });

  test('a panic prints a dump and ends in a watchdog reset', () => {
    const board = booted();
    board.type('panic\r');
    const [, panic, registers, stack, ...rest] = board.until(PROMPT).split('\r\n');
    expect(panic).toMatch(/^\*\*\* PANIC: asked for at the shell \(shell\.c:\d+\) \*\*\*$/);
    expect(registers).toMatch(/^r24=[0-9a-f]{2} sp=[0-9a-f]{4} sreg=[0-9a-f]{2} uptime=\d+$/);
    expect(stack).toMatch(/^stack:(?: [0-9a-f]{2}){6}$/);
    expect(rest).toEqual(['', 'sai-uno 1.0.0 (reset: watchdog)', 'ready', '> ']);
    expect(board.ask('echo alive')).toBe('alive');
  });

  test('a hung board is silent until a reset from outside', () => {
    const board = booted();
    board.type('hang\r');
    board.until('hanging\r\n');
    board.type('version\r');
    board.chip.setPin('D2', 0);
    board.runMs(1000);
    expect(board.output).toBe('');
    board.chip.setPin('D2', 1);
    expect(board.reset('external')).toContain('(reset: external)');
  });

  test('the selftest passes on a sound board', () => {
    const board = booted();
    expect(
      board
        .ask('selftest')
        .replaceAll(/c:\d+:/g, 'c:N:')
        .split('\r\n'),
    ).toEqual([
      'selftest.c:N:test_led_drives_its_pin:PASS',
      'selftest.c:N:test_timer_advances:PASS',
      'selftest.c:N:test_crc32_of_the_check_string:PASS',
      'selftest.c:N:test_button_is_idle:PASS',
      '-----------------------',
      '4 Tests 0 Failures 0 Ignored',
      'OK',
      'Completed: PASS',
    ]);
  });

  test('the selftest fails with a broken check, and with a button that is held', () => {
    const board = booted();
    expect(board.ask('selftest broken')).toMatch(
      /selftest\.c:\d+:test_one_and_one_is_three:FAIL: Expected 3 Was 2\r\n-+\r\n5 Tests 1 Failures 0 Ignored\r\nFAIL\r\nCompleted: FAIL$/,
    );
    board.chip.setPin('D2', 0);
    board.until(PROMPT);
    expect(board.ask('selftest')).toMatch(
      /test_button_is_idle:FAIL: Expected 0 Was 1[\s\S]*Completed: FAIL$/,
    );
  });
}
