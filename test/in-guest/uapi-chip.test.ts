import { expect, test } from 'vitest';
import type { EdgeEvent, LineSettings } from '../../src/jig/gpio.ts';
import { openUapiChip } from '../../src/jig/uapi-chip.ts';
import { DescriptorWatch } from '../../src/native/descriptor-watch.ts';
import { gpioContract } from '../jig/gpio-contract.ts';
import { until } from '../until.ts';
import { simBench } from './sim-bench.ts';

const watch = new DescriptorWatch();
const bench = () => simBench(async (label) => openUapiChip({ kind: 'name', name: label }, watch));
const output = { direction: 'output', mode: 'push-pull', bias: 'as-is' } as const;

gpioContract('by the character device of the kernel', async () => bench());

test('a chip is found by its label, name, number and node, and two with one label are not told apart', async () => {
  const { path, label } = bench();
  const name = path().slice('/dev/'.length);
  const ids = [
    { kind: 'name', name: label },
    { kind: 'name', name },
    { kind: 'number', number: Number(name.slice('gpiochip'.length)) },
    { kind: 'path', path: path() },
  ] as const;
  for (const id of ids) {
    await using chip = openUapiChip(id, watch);
    expect(chip.name).toBe(`${name} (${label})`);
  }
  const twin = simBench(async () => openUapiChip({ kind: 'name', name: label }, watch), label);
  await expect(twin.open()).rejects.toMatchObject({
    blame: 'config',
    message: `chip ${label}: expected the label of one chip, ${name} and ${twin.path().slice('/dev/'.length)} have it; name one`,
  });
  expect(() => openUapiChip({ kind: 'number', number: 99 }, watch)).toThrow(
    `chip 99: expected a GPIO chip of this host, one of ${name} (${label}), `,
  );
});

test('a line that another has is named, with who has it', async () => {
  const { open, path } = bench();
  await using first = await open();
  await first.request('the other', new Map([[1, { ...output, initial: 0 }]]));
  await using second = await open();
  await expect(second.request('a test', new Map([[1, { ...output, initial: 0 }]]))).rejects.toThrow(
    `${path().slice('/dev/'.length)} (${first.name.replace(/.*\((.*)\)/, '$1')}): line 1 (boot): expected a free line, it is held by the other`,
  );
});

test('lines keep their levels while another is let go of and driven again', async () => {
  const rig = bench();
  await using chip = await rig.open();
  const wanted: [number, LineSettings][] = [
    [0, { ...output, initial: 1 }],
    [1, { ...output, initial: 0 }],
    [2, { ...output, mode: 'open-drain', initial: 'released' }],
  ];
  await using request = await chip.request('a test', new Map(wanted));
  await request.set(new Map([[1, 'released']]));
  await request.set(
    new Map([
      [1, 1],
      [0, 0],
    ]),
  );
  expect(rig.changes).toEqual(['reset=1', 'reset=0', 'boot=1']);
});

test('a debounced input tells the one change that lasts, and each change of its neighbour', async () => {
  const rig = bench();
  await using chip = await rig.open();
  await using request = await chip.request(
    'a test',
    new Map([
      [3, { direction: 'input', bias: 'as-is' }],
      [4, { direction: 'input', bias: 'as-is', debounceMs: 1000 }],
    ]),
  );
  const edges: EdgeEvent[] = [];
  request.onEdge((edge) => edges.push(edge));
  for (const level of [1, 0, 1, 0, 1] as const) {
    rig.driveFromBoard(3, level);
    rig.driveFromBoard(4, level);
  }
  await until(() => edges.some(({ offset }) => offset === 4), 'the debounced line has settled');
  expect(edges.map(({ offset, level }) => `${offset}=${level}`)).toEqual([
    '3=1',
    '3=0',
    '3=1',
    '3=0',
    '3=1',
    '4=1',
  ]);
});

test('a pull of the chip is the level of a line that nobody drives', async () => {
  const rig = bench();
  await using chip = await rig.open();
  await using request = await chip.request('a test', new Map([[4, { direction: 'input', bias: 'pull-up' }]]));
  expect(await request.get(4)).toBe(1);
});
