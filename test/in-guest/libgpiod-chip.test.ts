import { readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { LibgpiodChips } from '../../src/jig/libgpiod-chip.ts';
import { gpioContract } from '../jig/gpio-contract.ts';
import { simBench } from './sim-bench.ts';

const chips = new LibgpiodChips();
const bench = () => simBench(async (label) => chips.open({ kind: 'name', name: label }));
const output = { direction: 'output', mode: 'push-pull', bias: 'as-is' } as const;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Everything that nobody refers to any more: what a finalizer lets go of is collected by the next. */
async function collectAll(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    collect();
    await nextTurn();
  }
}

gpioContract('by libgpiod', async () => bench());

describe('a chip of libgpiod', () => {
  test('outlives lines that it has not', async () => {
    const rig = bench();
    await using chip = await rig.open();
    for (let offset = 5; offset < 50; offset += 1) {
      const wanted = new Map([[offset, { ...output, initial: 1 } as const]]);
      await expect(chip.request('a test', wanted)).rejects.toMatchObject({ blame: 'config' });
    }
    await collectAll();
    expect(await chip.lines()).toHaveLength(5);
  });

  test('and its lines are held while nobody refers to them', async () => {
    const rig = bench();
    await using chip = await rig.open();
    await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
    await collectAll();
    expect(rig.changes).toEqual(['reset=1']);
    expect((await chip.lines())[0]?.consumer).toBe('a test');
  });

  test('is kept by a request of it', async () => {
    const rig = bench();
    const request = await (await rig.open()).request('a test', new Map([[0, { ...output, initial: 1 }]]));
    await collectAll();
    await request.set(new Map([[0, 0]]));
    await request.set(new Map([[0, 1]]));
    expect(rig.changes).toEqual(['reset=1', 'reset=0', 'reset=1']);
    await request[Symbol.asyncDispose]();
  });

  test('leaves requested lines alone when it lists them, also once the list is collected', async () => {
    const rig = bench();
    await using chip = await rig.open();
    await using request = await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
    await chip.lines();
    await collectAll();
    await request.set(new Map([[0, 0]]));
    expect(rig.changes).toEqual(['reset=1', 'reset=0']);
  });

  test('holds a line that was held before, whatever is collected of the time before', async () => {
    const rig = bench();
    await using chip = await rig.open();
    const first = await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
    await first[Symbol.asyncDispose]();
    expect(rig.changes).toEqual(['reset=1', 'reset=0']);
    await using second = await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
    await collectAll();
    await second.set(new Map([[0, 0]]));
    expect(rig.changes).toEqual(['reset=1', 'reset=0', 'reset=1', 'reset=0']);
  });

  test('that was closed, or has gone, can be collected', async () => {
    for (const end of ['closed', 'gone'] as const) {
      const rig = bench();
      const chip = await rig.open();
      await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
      if (end === 'gone') await rig.unplug();
      await chip[Symbol.asyncDispose]();
      await collectAll();
    }
    await collectAll();
  });

  test('that goes before it was asked for anything can be collected', async () => {
    const rig = bench();
    const chip = await rig.open();
    const gone = new Promise((resolve) => chip.gone.addEventListener('abort', resolve));
    await rig.unplug();
    await gone;
    await collectAll();
    await chip[Symbol.asyncDispose]();
    await collectAll();
  });

  test('that is opened again and again has no more descriptors', async () => {
    const rig = bench();
    const counts: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await using chip = await rig.open();
      await using _request = await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
      await chip.lines();
      counts.push(readdirSync('/proc/self/fd').length);
    }
    expect(new Set(counts).size).toBe(1);
    expect(rig.changes.at(-1)).toBe('reset=0');
  });

  test('refuses to debounce', async () => {
    await using chip = await bench().open();
    const wanted = new Map([[4, { direction: 'input', bias: 'as-is', debounceMs: 5 } as const]]);
    await expect(chip.request('a test', wanted)).rejects.toMatchObject({
      blame: 'config',
      message: `${chip.name}: line 4: expected no debounce, libgpiod 1.x has none; use --backend uapi`,
    });
  });
});
