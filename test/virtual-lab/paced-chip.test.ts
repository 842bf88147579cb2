import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { packageFile } from '../../src/base/package-file.ts';
import type { FromChip } from '../../src/virtual-lab/chip-link.ts';
import { PacedChip } from '../../src/virtual-lab/paced-chip.ts';

const FIRMWARE = readFileSync(packageFile('src/virtual-lab/firmware/uno/uno.hex'), 'latin1');

/** A paced chip whose clock the test turns. */
class Bench {
  nowMs = 1000;
  text = '';
  readonly events: FromChip[] = [];
  readonly chip = new PacedChip(
    FIRMWARE,
    () => this.nowMs,
    (event) => {
      this.events.push(event);
      if (event.event === 'usart') this.text += Buffer.from(event.data, 'base64').toString();
    },
  );

  pass(ms: number, stepMs = 1): void {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.nowMs += stepMs;
      while (this.chip.advance()) {
        // it catches up
      }
    }
  }

  type(text: string): void {
    this.chip.take({ op: 'usart', data: Buffer.from(text).toString('base64') });
  }
}

function uptimes(text: string): number[] {
  return [...text.matchAll(/uptime (\d+) ms/g)].map((match) => Number(match[1]));
}

test('chip time passes as clock time does', () => {
  const bench = new Bench();
  bench.pass(100);
  bench.type('uptime\r');
  bench.pass(500);
  bench.type('uptime\r');
  bench.pass(20);
  const [first = 0, second = 0] = uptimes(bench.text);
  expect(second - first).toBe(500);
});

test('a short stall is made up for; a long one is lost time, and never a burst', () => {
  const bench = new Bench();
  bench.pass(100);
  bench.type('uptime\r');
  bench.pass(20);
  bench.pass(40, 40);
  bench.pass(60_000, 60_000);
  bench.pass(20);
  bench.type('uptime\r');
  bench.pass(20);
  const [first = 0, second = 0] = uptimes(bench.text);
  // 20 + 40 + at most 50 of the minute + 20
  expect(second - first).toBe(130);
});

test('held in reset the chip is still, and starts over when let go', () => {
  const bench = new Bench();
  bench.pass(30);
  bench.type('led on\r');
  bench.pass(30);
  bench.text = '';
  bench.chip.take({ op: 'line', line: 'reset', level: 0 });
  expect(bench.chip.isRunning).toBe(false);
  bench.type('echo unheard\r');
  bench.pass(100);
  expect(bench.text).toBe('');
  bench.chip.take({ op: 'line', line: 'reset', level: 1 });
  bench.pass(30);
  expect(bench.text).toBe('\r\nsai-uno 1.0.0 (reset: external)\r\nready\r\n> ');
  const edges = bench.events.filter((each) => each.event === 'edge');
  expect(edges.map(({ line, level }) => `${line} ${level}`)).toEqual([
    'led 1',
    'led 0',
    'reset 0',
    'reset 1',
  ]);
});

test('without power it is silent, also when reset is let go meanwhile', () => {
  const bench = new Bench();
  bench.pass(30);
  bench.chip.take({ op: 'power', state: 'off' });
  bench.text = '';
  bench.chip.take({ op: 'line', line: 'reset', level: 0 });
  bench.chip.take({ op: 'line', line: 'reset', level: 1 });
  bench.type('version\r');
  bench.pass(50);
  expect(bench.text).toBe('');
  bench.chip.take({ op: 'power', state: 'on' });
  bench.pass(30);
  expect(bench.text).toBe('\r\nsai-uno 1.0.0 (reset: power-on)\r\nready\r\n> ');
});

test('an edge carries the clock time at which the chip made it', () => {
  const bench = new Bench();
  bench.pass(30);
  bench.type('led on\r');
  bench.pass(30);
  const edge = bench.events.find((each) => each.event === 'edge');
  // 30 ms of boot, then 7 bytes of 85 µs each.
  expect(edge).toMatchObject({ line: 'led', level: 1 });
  expect(edge?.monotonicMs).toBeGreaterThan(1030.5);
  expect(edge?.monotonicMs).toBeLessThan(1033);
});

test('every byte given is told of as taken once, whatever happens to the chip', () => {
  const bench = new Bench();
  const taken = (): number =>
    bench.events.reduce((sum, each) => sum + (each.event === 'taken' ? each.bytes : 0), 0);
  bench.pass(30);
  bench.type('x'.repeat(1000));
  expect(taken()).toBe(0);
  bench.pass(10);
  expect(taken()).toBeGreaterThan(100);
  expect(taken()).toBeLessThan(130);
  bench.chip.take({ op: 'line', line: 'reset', level: 0 });
  expect(taken()).toBe(1000);
  bench.type('y'.repeat(10));
  expect(taken()).toBe(1010);
});
