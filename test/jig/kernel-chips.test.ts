import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findChip, type KernelChip } from '../../src/jig/kernel-chips.ts';
import type { ChipId } from '../../src/jig/plan.ts';
import { tempFolder } from '../temp-folder.ts';

const chip = (number: number, label: string | undefined): KernelChip => ({
  path: `/dev/gpiochip${number}`,
  name: `gpiochip${number}`,
  label,
});
const HEADER = chip(0, 'pinctrl-bcm2835');
const EXPANDER = chip(1, 'mcp23017');
const named = (name: string): ChipId => ({ kind: 'name', name });

test('a chip is what its label, its name, its number, its node or a link to that says', () => {
  const there = [HEADER, EXPANDER];
  const folder = tempFolder();
  const link = join(folder, 'buttons');
  writeFileSync(join(folder, 'gpiochip1'), '');
  symlinkSync('gpiochip1', link);
  expect(findChip(named('mcp23017'), there)).toBe(EXPANDER);
  expect(findChip(named('gpiochip1'), there)).toBe(EXPANDER);
  expect(findChip({ kind: 'number', number: 1 }, there)).toBe(EXPANDER);
  for (const path of ['/dev/gpiochip1', link]) expect(findChip({ kind: 'path', path }, there)).toBe(EXPANDER);
});

test('a name is a chip of that name before it is a label', () => {
  expect(findChip(named('gpiochip1'), [chip(0, 'gpiochip1'), EXPANDER])).toBe(EXPANDER);
});

test.each<[string, ChipId, KernelChip[], string, string]>([
  [
    'a chip that is not there',
    { kind: 'number', number: 3 },
    [HEADER, EXPANDER],
    'unavailable',
    'chip 3: expected a GPIO chip of this host, one of gpiochip0 (pinctrl-bcm2835), gpiochip1 (mcp23017); plug it in, or correct the config',
  ],
  [
    'any chip where there is none',
    named('pinctrl-bcm2835'),
    [],
    'unavailable',
    'chip pinctrl-bcm2835: expected a GPIO chip, this host has none; plug it in, or try --backend simulated',
  ],
  [
    'a label that two have',
    named('mcp23017'),
    [HEADER, EXPANDER, chip(2, 'mcp23017')],
    'config',
    'chip mcp23017: expected the label of one chip, gpiochip1 and gpiochip2 have it; name one',
  ],
  [
    'a label that only a chip can have which may not be opened',
    named('mcp23017'),
    [HEADER, chip(1, undefined)],
    'hardware',
    '/dev/gpiochip1: cannot be opened for reading and writing (EACCES); this login needs the group that owns it, often gpio',
  ],
])('%s is refused', (_what, wanted, there, blame, message) => {
  expect(() => findChip(wanted, there)).toThrow(expect.objectContaining({ blame, message }));
});
