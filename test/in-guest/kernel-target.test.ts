import { readdirSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { RigError } from '../../src/base/errors.ts';
import { packageFile } from '../../src/base/package-file.ts';
import { parse } from '../../src/base/validate.ts';
import { systemClock } from '../../src/jig/clock.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { LibgpiodChips } from '../../src/jig/libgpiod-chip.ts';
import { planTargets } from '../../src/jig/plan.ts';
import { PulseThread } from '../../src/jig/pulse-thread.ts';
import { Target } from '../../src/jig/target.ts';
import type { OpenChip } from '../../src/jig/target-lines.ts';
import { openUapiChip } from '../../src/jig/uapi-chip.ts';
import { DescriptorWatch } from '../../src/native/descriptor-watch.ts';
import { until } from '../until.ts';
import { collectAll } from './collect-all.ts';
import { changesOf, type SimBench, simBench } from './sim-bench.ts';

const watch = new DescriptorWatch();
const pulses = new PulseThread(packageFile('dist/jig-pulse.cjs'));
const libgpiod = new LibgpiodChips();
const BACKENDS: Readonly<Record<string, OpenChip>> = {
  uapi: async (chip) => openUapiChip(chip, watch, pulses),
  libgpiod: async (chip) => libgpiod.open(chip),
};
const set = (name: string, value: 0 | 1): object => ({ gpio_name: name, value });
const pulse = (name: string, time: string, value = 1): object => ({ pulse: name, for: time, value });
const WAIT = { wait_for: 'led', edge: 'rising', within: '1h' };

describe.each(Object.entries(BACKENDS))('a target by %s', (backend, open) => {
  const bench = (): SimBench => simBench(async (label) => await open({ kind: 'name', name: label }));

  /** Lines `a`, `b` and the input `led` of a chip; `c`, if there is another chip, is of that. */
  async function start(
    rigs: readonly SimBench[],
    sequences: Readonly<Record<string, object[]>>,
    {
      a = {},
      b = {},
      openChip = open,
      ...rest
    }: { a?: object; b?: object; openChip?: OpenChip; interlocks?: string[][] },
  ) {
    const chips = rigs.map(({ label }) => label);
    const gpios = [
      { name: 'a', chip: chips[0], offset: 0, ...a },
      { name: 'b', chip: chips[0], offset: 1, ...b },
      { name: 'led', chip: chips[0], offset: 4, direction: 'in' },
      ...(chips[1] === undefined ? [] : [{ name: 'c', chip: chips[1], offset: 0 }]),
    ];
    const all = Object.entries(sequences).map(([name, seq]) => ({ name, seq }));
    const config = { schema: 'sai-jig', targets: [{ name: 'dut', gpios, sequences: all, ...rest }] };
    const [plan] = planTargets(parse(JigConfig, config, 'jig.json'), 'jig.json');
    if (!plan) throw new Error('expected a target');
    const remarks: string[] = [];
    const target = new Target(plan, {
      openChip,
      clock: systemClock,
      onEvent: () => {},
      say: (text) => remarks.push(text),
    });
    onTestFinished(async () => await target[Symbol.asyncDispose]());
    await target.start();
    const gone = new AbortController().signal;
    const run = async (sequence: string) =>
      await target.run({ sequence, waitMs: 0, fence: undefined, gone, onGone: 'finish' });
    return { target, remarks, run, state: () => target.status().state };
  }

  test('never has interlocked lines active together, on one chip or two', async () => {
    const rigs = [bench(), bench()];
    const [one, two] = rigs.map(({ label }) => label);
    const { run } = await start(
      rigs,
      {
        over: [
          set('a', 1),
          { set: { b: 1, a: 0 } },
          { set: { c: 1, b: 0 } },
          { set: { a: 1, c: 0 } },
          { set: { a: 0 } },
        ],
        both: [set('c', 1), pulse('b', '1ms')],
      },
      { interlocks: [['a', 'b', 'c']] },
    );
    await run('over');
    await expect(run('both')).rejects.toMatchObject({ code: 'interlocked' });
    expect(changesOf(...rigs)).toEqual([
      `${one} reset=1`,
      `${one} reset=0`,
      `${one} boot=1`,
      `${one} boot=0`,
      `${two} reset=1`,
      `${two} reset=0`,
      `${one} reset=1`,
      `${one} reset=0`,
      `${two} reset=1`,
      `${two} reset=0`,
    ]);
  });

  test('has no line active for too long, whatever the sequence did, and however busy the jig is', async () => {
    const rig = bench();
    const { run, remarks } = await start(
      [rig],
      {
        leave: [set('a', 1)],
        again: [set('b', 1), pulse('b', '1ms', 0), set('b', 0), pulse('b', '1ms')],
        fail: [set('b', 1), { wait_for: 'led', edge: 'rising', within: 1 }],
      },
      { a: { maxActive: '40ms' }, b: { maxActive: '1m' } },
    );
    const over = 'dut: a was active for 40 ms, its longest time; it goes to its safe value';
    await run('leave');
    await until(() => rig.levelAt(0) === 0, 'it is safe');
    await run('leave');
    const beganMs = performance.now();
    while (performance.now() - beganMs < 60); // nothing else is done meanwhile
    await until(() => rig.levelAt(0) === 0, 'it is safe again');
    expect(remarks).toEqual([over, over]);
    await run('again');
    await expect(run('fail')).rejects.toMatchObject({ code: 'not-in-time' });
    expect(rig.changes).toEqual([
      ...['reset=1', 'reset=0', 'reset=1', 'reset=0'],
      ...['boot=1', 'boot=0', 'boot=1', 'boot=0', 'boot=1', 'boot=0'],
      ...['boot=1', 'boot=0'],
    ]);
    expect(remarks).toHaveLength(2);
  });

  test('takes no edge that was there before for one that a step provokes', async () => {
    const rig = bench();
    const { run } = await start(
      [rig],
      {
        blink: [set('a', 1), { ...WAIT, within: '300ms' }],
        lit: [{ wait_for: 'led', value: 1, within: '300ms' }],
      },
      {},
    );
    rig.driveFromBoard(4, 1);
    await expect(run('blink')).rejects.toMatchObject({ code: 'not-in-time' });
    rig.driveFromBoard(4, 0);
    await expect(run('lit')).rejects.toMatchObject({ code: 'not-in-time' });
  });

  test('whose chip goes away, whatever it does then, has it back under whatever number', async () => {
    const rig = bench();
    const phases = {
      pause: [set('a', 1), { value: '1h' }],
      wait: [set('a', 1), WAIT],
      pulse: [pulse('a', '1h')],
      ...(backend === 'uapi' ? { hammer: [{ repeat: 5000, seq: [pulse('a', '4ms')] }] } : {}),
    };
    const { run, state, target } = await start([rig], { ...phases, nothing: [] }, {});
    for (const phase of ['nothing', ...Object.keys(phases)]) {
      const running = run(phase).catch((error: unknown) => error);
      const isUnderWay =
        phase === 'hammer' ? () => rig.intervalsMs(0).length > 3 : () => rig.levelAt(0) === 1;
      if (phase !== 'nothing') await until(isUnderWay, `${phase}: it is under way`);
      const path = rig.path();
      const before = rig.changes.length;
      await rig.unplug();
      if (phase !== 'nothing') expect(await running).toMatchObject({ code: 'line-unavailable' });
      await until(() => state() === 'unavailable', `${phase}: it is unavailable`);
      await expect(run('nothing')).rejects.toMatchObject({ code: 'line-unavailable' });
      bench(); // has its number now
      await rig.plug();
      await until(() => state() === 'idle', `${phase}: it is back`);
      expect(rig.path()).not.toBe(path);
      expect(await run('nothing')).toMatchObject({ outcome: 'done' });
      expect(target.status().lines).toMatchObject([{ value: 0 }, { value: 0 }, {}]);
      expect(rig.changes.slice(before + 1).filter((each) => each.endsWith('=1'))).toEqual([]);
    }
  });

  test('whose line somebody else takes first says who, and has it once it is free', async () => {
    const rig = bench();
    const { run, state } = await start([rig], { nothing: [] }, {});
    await rig.unplug();
    await until(() => state() === 'unavailable', 'it is unavailable');
    await rig.plug();
    const thief = await rig.open();
    const settings = { direction: 'output', mode: 'push-pull', bias: 'as-is', initial: 0 } as const;
    await thief.request('a thief', new Map([[1, settings]]));
    await expect(run('nothing')).rejects.toMatchObject({
      code: 'line-unavailable',
      message: expect.stringMatching(
        /^dut: gpiochip\d+ \(bench-\d+\): line 1 \(boot\): expected a free line, it is held by a thief$/,
      ),
    });
    await thief[Symbol.asyncDispose]();
    await until(() => state() === 'idle', 'it is back');
    await rig.unplug();
    rig.hog(1, 'a hog');
    await rig.plug();
    await until(() => state() === 'unavailable', 'the kernel has its line');
    await expect(run('nothing')).rejects.toThrow('expected a free line, it is held by a hog');
  });

  test('one of whose chips goes away while it starts leaves nothing taken', async () => {
    const rigs = [bench(), bench()];
    const [first, second] = rigs;
    const openChip: OpenChip = async (chip) => {
      if (chip.kind === 'name' && chip.name === second?.label) await second.unplug();
      return await open(chip);
    };
    await expect(start(rigs, {}, { openChip })).rejects.toMatchObject({ blame: 'unavailable' });
    await second?.plug();
    await using chip = await first?.open();
    expect((await chip?.lines())?.map(({ consumer }) => consumer)).toEqual(Array(5).fill(undefined));
  });

  test('has no more descriptors, however often its chip came and went', async () => {
    const rig = bench();
    const counts = new Set<number>();
    for (let round = 0; round < 8; round += 1) {
      const chip = await rig.open();
      const input = { direction: 'input', bias: 'as-is' } as const;
      const request = await chip.request('a test', new Map([[4, input]]));
      // The library closes what nobody has any more.
      if (backend === 'libgpiod') await collectAll();
      if (round > 2) counts.add(readdirSync('/proc/self/fd').length);
      await rig.unplug();
      // Not by `rejects`, which keeps the error and what it came from.
      expect(await request.get(4).catch(({ blame }: RigError) => blame)).toBe('unavailable');
      await chip[Symbol.asyncDispose]();
      await rig.plug();
    }
    expect([...counts]).toHaveLength(1);
  });
});
