import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { Level } from '../../src/jig/gpio.ts';
import { loadLibgpiod } from '../../src/jig/libgpiod-binding.ts';
import { LibgpiodChips } from '../../src/jig/libgpiod-chip.ts';
import { LibgpiodLines } from '../../src/jig/libgpiod-lines.ts';
import { gpioContract } from '../jig/gpio-contract.ts';
import { collectAll } from './collect-all.ts';
import { simBench } from './sim-bench.ts';

const chips = new LibgpiodChips();
const bench = () => simBench(async (label) => chips.open({ kind: 'name', name: label }));
const output = { direction: 'output', mode: 'push-pull', bias: 'as-is' } as const;

gpioContract('by libgpiod', async () => bench());

describe('a chip of libgpiod', () => {
  test('outlives lines that it has not', async () => {
    const rig = bench();
    await using chip = await rig.open();
    for (const offset of [-1, 0.5, Number.NaN, ...Array.from({ length: 45 }, (_, at) => 5 + at)]) {
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

  test('is the only thing that lines are made of: the library ends the process over others', () => {
    expect(() => new LibgpiodLines(loadLibgpiod(), {} as never)).toThrow('expected a chip of node-libgpiod');
  });

  test('takes no level but 0 and 1: the library takes anything for one of them', async () => {
    const rig = bench();
    await using chip = await rig.open();
    const wrong = ['high', 7, undefined] as unknown as Level[];
    const refused = { blame: 'hardware', message: expect.stringContaining('a level of 0 or 1') };
    for (const initial of wrong) {
      const wanted = new Map([[0, { ...output, initial }]]);
      await expect(chip.request('a test', wanted)).rejects.toMatchObject(refused);
    }
    expect(rig.changes).toEqual([]);
    await using request = await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
    for (const level of wrong)
      await expect(request.set(new Map([[0, level]]))).rejects.toMatchObject(refused);
    expect(rig.changes).toEqual(['reset=1']);
  });

  test('gives a line that is high its first level with no other before', async () => {
    const rig = bench();
    await using chip = await rig.open();
    rig.driveFromBoard(0, 1);
    await using _request = await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
    rig.driveFromBoard(0, 0);
    expect(rig.changes).toEqual(['reset=1']);
  });

  test('is in one thread at a time: another is refused, and this one goes on', async () => {
    const rig = bench();
    await using chip = await rig.open();
    await using request = await chip.request('a test', new Map([[0, { ...output, initial: 1 }]]));
    const library = createRequire(import.meta.url).resolve('node-libgpiod');
    const other = new Worker(`require(${JSON.stringify(library)})`, { eval: true });
    const [refusal] = (await once(other, 'error')) as [Error];
    expect(refusal.message).toContain('did not self-register');
    await collectAll();
    await request.set(new Map([[0, 0]]));
    expect(rig.changes).toEqual(['reset=1', 'reset=0']);
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
