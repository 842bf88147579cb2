import { expect, test } from 'vitest';
import type { LinePlan } from '../../src/jig/plan.ts';
import { SimulatedChip } from '../../src/jig/simulated-chip.ts';
import { TargetLines } from '../../src/jig/target-lines.ts';

function line(name: string, at: number | string): LinePlan {
  const output = { mode: 'push-pull', safe: 'inactive' } as const;
  const chip = { kind: 'number', number: 0 } as const;
  return {
    name,
    chip,
    at,
    wire: undefined,
    activeLow: false,
    bias: 'as-is',
    debounceMs: undefined,
    output,
  };
}

test.each([
  [
    'a name that two lines of the chip have',
    [line('reset', 'RST')],
    'dut/reset: expected the name of one line of chip 0, lines 0 and 2 have the name "RST"; name one by its offset',
  ],
  [
    'a name that no line has',
    [line('reset', 'RTS')],
    'dut/reset: expected a line of chip 0, one of RST, BOOT, RST, got "RTS"',
  ],
  [
    'a line by its name and by its offset',
    [line('boot', 'BOOT'), line('other', 1)],
    'dut/other: expected each line once, got chip 0, line 1 again',
  ],
])('%s is refused', async (_what, lines, message) => {
  const chip = new SimulatedChip('chip 0', ['RST', 'BOOT', 'RST']);
  const plan = { name: 'dut', requireFence: false, lines, sequences: new Map() };
  await expect(TargetLines.take(plan, () => chip.open())).rejects.toMatchObject({ blame: 'config', message });
});
