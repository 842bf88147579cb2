import { expect, test } from 'vitest';
import { SimulatedChip } from '../../src/jig/simulated-chip.ts';
import { BENCH_LINES, gpioContract } from './gpio-contract.ts';

gpioContract('in memory', async () => {
  const chip = new SimulatedChip('simulated', BENCH_LINES);
  const changes: string[] = [];
  chip.onChange((offset, level) => changes.push(`${BENCH_LINES[offset]}=${level}`));
  return {
    open: () => chip.open(),
    levelAt: (offset) => chip.levelAt(offset),
    driveFromBoard: (offset, level) => chip.driveFromBoard(offset, level),
    changes,
    unplug: async () => chip.unplug(),
    plug: async () => chip.plug(),
  };
});

test('a simulated line that nobody drives has the level of its bias', async () => {
  const simulated = new SimulatedChip('simulated', BENCH_LINES);
  await using chip = await simulated.open();
  await using request = await chip.request(
    'a test',
    new Map([
      [0, { direction: 'input', bias: 'pull-up' }],
      [1, { direction: 'output', mode: 'open-drain', bias: 'pull-up', initial: 1 }],
    ]),
  );
  expect([await request.get(0), await request.get(1)]).toEqual([1, 1]);
  simulated.driveFromBoard(1, 0); // wired-and
  expect(await request.get(1)).toBe(0);
});
