import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import { systemClock } from '../../src/jig/clock.ts';
import { JigConfig } from '../../src/jig/config.ts';
import type { GpioChip } from '../../src/jig/gpio.ts';
import { type ChipId, type LinePlan, type OutputValue, planTargets } from '../../src/jig/plan.ts';
import { SimulatedChip } from '../../src/jig/simulated-chip.ts';
import { type RunRequest, Target } from '../../src/jig/target.ts';
import { TargetLines } from '../../src/jig/target-lines.ts';
import type { JigEvent } from '../../src/wire/jig.ts';
import { until } from '../until.ts';

interface Bench {
  readonly target: Target;
  readonly chips: readonly SimulatedChip[];
  readonly events: JigEvent[];
  readonly remarks: string[];
  /** Every change on a wire, as `forward=1`. */
  readonly changes: string[];
  run(sequence: string): Promise<unknown>;
}

const GPIOS = [
  { name: 'forward', chip_index: 0, offset: 0 },
  { name: 'reverse', chip_index: 0, offset: 1 },
  { name: 'brake', chip_index: 1, offset: 0 },
];

async function bench(rest: {
  gpios?: object[];
  interlocks?: string[][];
  sequences: object[];
}): Promise<Bench> {
  const chips = [new SimulatedChip('chip 0', ['', '']), new SimulatedChip('chip 1', [''])];
  const changes: string[] = [];
  const names = [['forward', 'reverse'], ['brake']];
  for (const [index, chip] of chips.entries()) {
    chip.onChange((offset, level) => changes.push(`${names[index]?.[offset]}=${level}`));
  }
  const events: JigEvent[] = [];
  const remarks: string[] = [];
  const config = { schema: 'sai-jig', targets: [{ name: 'dut', gpios: GPIOS, ...rest }] };
  const [plan] = planTargets(parse(JigConfig, config, 'jig.json'), 'jig.json');
  if (!plan) throw new Error('expected a target');
  const target = new Target(plan, {
    openChip: (chip: ChipId) =>
      (chip.kind === 'number' && chips[chip.number]?.open()) as ReturnType<SimulatedChip['open']>,
    clock: systemClock,
    onEvent: (event) => events.push(event),
    say: (text) => remarks.push(text),
  });
  onTestFinished(async () => await target[Symbol.asyncDispose]());
  await target.start();
  const request: Omit<RunRequest, 'sequence'> = {
    waitMs: 0,
    fence: undefined,
    gone: new AbortController().signal,
    onGone: 'finish',
  };
  const run = (sequence: string): Promise<unknown> => target.run({ ...request, sequence });
  return { target, chips, events, remarks, changes, run };
}

const set = (name: string, value: 0 | 1): object => ({ gpio_name: name, value });

describe('interlocked lines', () => {
  const interlocks = [['forward', 'reverse', 'brake']];

  test('are never active together: the step is refused before a level changes, the sequence fails', async () => {
    const { run, changes, events } = await bench({
      interlocks,
      sequences: [{ name: 'both', seq: [set('forward', 1), set('brake', 1)] }],
    });
    await expect(run('both')).rejects.toMatchObject({
      code: 'interlocked',
      blame: 'config',
      message:
        'dut: both: seq.1: brake=1: expected at most one of brake and forward active, got both; set forward to 0 first, or in the same step',
    });
    expect(changes).toEqual(['forward=1', 'forward=0']);
    expect(events.at(-1)).toMatchObject({ event: 'ended', outcome: 'failed' });
  });

  test('that one step sets both are refused, and it is said that one has to go', async () => {
    const { run, changes } = await bench({
      interlocks,
      sequences: [{ name: 'both', seq: [{ value: 1 }, { set: { reverse: 1, forward: 1 } }] }],
    });
    await expect(run('both')).rejects.toMatchObject({
      code: 'interlocked',
      message:
        'dut: both: seq.1: reverse=1 and forward=1: expected at most one of reverse and forward active, got both; set only one of them',
    });
    expect(changes).toEqual([]);
  });

  test('are judged by what the sequence before left', async () => {
    const { run, changes } = await bench({
      interlocks,
      sequences: [
        { name: 'go', seq: [set('forward', 1)] },
        { name: 'back', seq: [{ pulse: 'reverse', for: 1 }] },
      ],
    });
    await run('go');
    await expect(run('back')).rejects.toMatchObject({ code: 'interlocked' });
    expect(changes).toEqual(['forward=1', 'forward=0']);
    await run('back');
    expect(changes.slice(2)).toEqual(['reverse=1', 'reverse=0']);
  });

  test('change over in one step, and one is inactive before the other is active, on any chip', async () => {
    const { run, changes } = await bench({
      interlocks,
      sequences: [
        {
          name: 'over',
          seq: [
            { set: { forward: 1 } },
            { set: { reverse: 1, forward: 0 } },
            { set: { brake: 1, forward: 0, reverse: 0 } },
            { set: { forward: 1, brake: 0 } },
          ],
        },
      ],
    });
    await run('over');
    expect(changes).toEqual([
      'forward=1',
      'forward=0',
      'reverse=1',
      'reverse=0',
      'brake=1',
      'brake=0',
      'forward=1',
    ]);
  });

  test('of a set that ends with two active, none changes, not even one that goes inactive', async () => {
    const { run, changes } = await bench({
      interlocks,
      sequences: [{ name: 'two', seq: [set('forward', 1), { set: { forward: 0, reverse: 1, brake: 1 } }] }],
    });
    await expect(run('two')).rejects.toMatchObject({ code: 'interlocked' });
    expect(changes).toEqual(['forward=1', 'forward=0']);
  });

  test('are made safe without passing through what is forbidden', async () => {
    const { run, changes } = await bench({
      gpios: [GPIOS[0] ?? {}, GPIOS[1] ?? {}, { ...GPIOS[2], safe: 1 }],
      interlocks,
      sequences: [
        { name: 'fail', seq: [{ set: { brake: 0, forward: 1 } }, { set: { reverse: 1, forward: 1 } }] },
      ],
    });
    await expect(run('fail')).rejects.toMatchObject({ code: 'interlocked' });
    expect(changes).toEqual(['brake=1', 'brake=0', 'forward=1', 'forward=0', 'brake=1']);
  });
});

describe('a line with maxActive', () => {
  const gpios = [{ ...GPIOS[0], maxActive: '30ms' }, GPIOS[1] ?? {}];

  test('goes to its safe value when a sequence keeps it longer, which fails and leaves all safe', async () => {
    const { run, changes, events, remarks } = await bench({
      gpios,
      sequences: [{ name: 'hold', seq: [{ set: { forward: 1, reverse: 1 } }, { value: '1m' }] }],
    });
    await expect(run('hold')).rejects.toMatchObject({
      code: 'active-too-long',
      blame: 'config',
      message:
        'dut: hold: seq.1: pause 60000 ms: forward was active for 30 ms, its longest time; shorten the sequence, or set another maxActive',
    });
    expect(changes).toEqual(['forward=1', 'reverse=1', 'forward=0', 'reverse=0']);
    expect(events.map(({ event }) => event)).toEqual(['started', 'step', 'overdue', 'ended']);
    expect(events[2]).toMatchObject({ target: 'dut', line: 'forward', maxActiveMs: 30 });
    expect(remarks).toEqual([
      'dut: forward was active for 30 ms, its longest time; it goes to its safe value',
    ]);
  });

  test('goes to its safe value also when nothing runs, and can be used again', async () => {
    const { run, changes, events, target } = await bench({
      gpios,
      sequences: [
        { name: 'leave', seq: [set('reverse', 1), set('forward', 1)] },
        { name: 'knock', seq: [{ pulse: 'forward', for: 1 }] },
      ],
    });
    await run('leave');
    await until(() => events.at(-1)?.event === 'overdue', 'it has been active for too long');
    await until(() => changes.length === 3, 'it is safe');
    expect(changes).toEqual(['reverse=1', 'forward=1', 'forward=0']);
    expect(target.status().lines).toMatchObject([{ value: 0 }, { value: 1 }]);
    await run('knock');
    expect(changes.slice(3)).toEqual(['forward=1', 'forward=0']);
  });

  test('counts from its first moment, however often it is set again', async () => {
    const again = Array.from({ length: 20 }, () => [set('forward', 1), { value: 5 }]).flat();
    const { run } = await bench({ gpios, sequences: [{ name: 'again', seq: again }] });
    await expect(run('again')).rejects.toMatchObject({ code: 'active-too-long' });
  });

  test('counts anew after each time that it was inactive', async () => {
    const { run, events } = await bench({
      gpios: [{ ...GPIOS[0], maxActive: '5s' }],
      sequences: [{ name: 'knocks', seq: [{ repeat: 3, seq: [{ pulse: 'forward', for: 5 }] }] }],
    });
    await run('knocks');
    expect(events.at(-1)).toMatchObject({ event: 'ended', outcome: 'done' });
  });

  test('fails a sequence that runs when a line of the one before is overdue', async () => {
    const { run, chips } = await bench({
      gpios,
      sequences: [
        { name: 'leave', seq: [set('forward', 1)] },
        { name: 'other', seq: [set('reverse', 1), { value: '1m' }] },
      ],
    });
    await run('leave');
    await expect(run('other')).rejects.toMatchObject({ code: 'active-too-long' });
    expect([chips[0]?.levelAt(0), chips[0]?.levelAt(1)]).toEqual([0, 0]);
  });

  test('is tried again until it is safe, when the chip does not take it', async () => {
    const wires = new SimulatedChip('chip 0', ['']);
    const config = {
      schema: 'sai-jig',
      targets: [{ name: 'dut', gpios: [{ ...GPIOS[0], maxActive: '10ms' }], sequences: [] }],
    };
    const [plan] = planTargets(parse(JigConfig, config, 'jig.json'), 'jig.json');
    if (!plan) throw new Error('expected a target');
    const remarks: string[] = [];
    let refusals = 1;
    await using lines = await TargetLines.take(plan, {
      openChip: async () => {
        const chip = await wires.open();
        const request: typeof chip.request = async (...args) => {
          const held = await chip.request(...args);
          const real = held.set.bind(held);
          held.set = async (drives) => {
            if (drives.get(0) === 0 && refusals-- > 0) throw new Error('EIO');
            await real(drives);
          };
          return held;
        };
        return Object.assign(Object.create(chip), {
          request,
          gone: chip.gone,
          name: chip.name,
          lines: () => chip.lines(),
          [Symbol.asyncDispose]: () => chip[Symbol.asyncDispose](),
        });
      },
      clock: systemClock,
      onOverdue: () => {},
      say: (text) => remarks.push(text),
    });
    await lines.drive(new Map([['forward', 'active']]));
    await until(() => wires.levelAt(0) === 0, 'it is safe');
    expect(remarks).toEqual(['dut: forward cannot be made safe: EIO; trying again']);
  });
});

describe('lines on several chips', () => {
  const chipNames = ['chip 0', 'chip 1', 'chip 2'];

  async function take(
    chips: readonly SimulatedChip[],
    change: (chip: GpioChip) => GpioChip = (chip) => chip,
  ): Promise<TargetLines> {
    const gpios = chipNames.map((_, index) => ({ name: `line-${index}`, chip_index: index, offset: 0 }));
    const interlocks = [gpios.map(({ name }) => name)];
    const config = { schema: 'sai-jig', targets: [{ name: 'dut', gpios, interlocks, sequences: [] }] };
    const [plan] = planTargets(parse(JigConfig, config, 'jig.json'), 'jig.json');
    if (!plan) throw new Error('expected a target');
    return await TargetLines.take(plan, {
      openChip: async (chip) => {
        const opened = chip.kind === 'number' && (await chips[chip.number]?.open());
        if (!opened) throw new Error('expected a chip');
        return change(opened);
      },
      clock: systemClock,
      onOverdue: () => {},
      say: () => {},
    });
  }

  async function holders(chips: readonly SimulatedChip[]): Promise<(string | undefined)[]> {
    return await Promise.all(chips.map(async (chip) => (await (await chip.open()).lines())[0]?.consumer));
  }

  /** A relay board whose program fails. */
  const stuck = (chip: GpioChip): GpioChip =>
    chip.name === 'chip 1'
      ? Object.assign(chip, { [Symbol.asyncDispose]: async () => Promise.reject(new Error('stuck')) })
      : chip;

  test('are let go of on each of them, also where one fails', async () => {
    const chips = chipNames.map((name) => new SimulatedChip(name, ['']));
    const lines = await take(chips, stuck);
    await expect(lines[Symbol.asyncDispose]()).rejects.toThrow('stuck');
    expect(await holders(chips)).toEqual([undefined, 'sai-jig dut', undefined]);
  });

  test('that cannot be taken say why, whatever letting go of the others comes to', async () => {
    const chips = chipNames.map((name) => new SimulatedChip(name, ['']));
    const third = await chips[2]?.open();
    await third?.request('gpioset', new Map([[0, { direction: 'input', bias: 'as-is' }]]));
    await expect(take(chips, stuck)).rejects.toMatchObject({ blame: 'busy' });
    expect(await holders(chips)).toEqual([undefined, 'sai-jig dut', 'gpioset']);
  });

  test('are not made active any more when a chip goes while their rivals are made inactive', async () => {
    const chips = chipNames.map((name) => new SimulatedChip(name, ['']));
    const changes: string[] = [];
    for (const [index, chip] of chips.entries())
      chip.onChange((_, level) => changes.push(`line-${index}=${level}`));
    let isSlow = false;
    await using lines = await take(chips, (chip) => {
      if (chip.name !== 'chip 0') return chip;
      const request = chip.request.bind(chip);
      return Object.assign(chip, {
        request: async (...args: Parameters<GpioChip['request']>) => {
          const held = await request(...args);
          const set = held.set.bind(held);
          return Object.assign(held, {
            set: async (drives: Parameters<typeof set>[0]) => {
              await set(drives);
              if (!isSlow) return;
              isSlow = false;
              chips[2]?.unplug();
              await lines.makeSafe().catch(() => {}); // as who keeps them does
            },
          });
        },
      });
    });
    await lines.drive(new Map([['line-0', 'active']]));
    isSlow = true;
    const change = lines.drive(
      new Map([
        ['line-0', 'inactive'],
        ['line-1', 'active'],
      ]),
    );
    await expect(change).rejects.toMatchObject({ blame: 'unavailable' });
    expect(changes).toEqual(['line-0=1', 'line-0=0']);
  });
});

test('whatever lines are told, interlocked ones are never active together on the wires', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const place = (at: number): { chip: number; offset: number } => ({ chip: at % 2, offset: at >> 1 });
  const group = fc.uniqueArray(fc.constantFrom(...names), { minLength: 2 });
  const values = fc.dictionary(fc.constantFrom(...names), fc.constantFrom('active', 'inactive', 'released'), {
    minKeys: 1,
  });
  const acts = fc.array(fc.oneof({ weight: 4, arbitrary: values }, fc.constant('safe')), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(group, { minLength: 1, maxLength: 3 }),
      fc.option(fc.constantFrom(...names)),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      acts,
      async (interlocks, safeActive, low, told) => {
        const chips = [0, 1].map((index) => new SimulatedChip(`chip ${index}`, ['', '']));
        const gpios = names.map((name, at) => {
          const { chip, offset } = place(at);
          return {
            name,
            chip_index: chip,
            offset,
            ...(low[at] ? { activeLow: true, bias: 'pull-up' } : {}),
            safe: name === safeActive ? 1 : 0,
          };
        });
        const config = { schema: 'sai-jig', targets: [{ name: 'dut', gpios, interlocks, sequences: [] }] };
        const [plan] = planTargets(parse(JigConfig, config, 'jig.json'), 'jig.json');
        if (!plan) throw new Error('expected a target');
        await using lines = await TargetLines.take(plan, {
          openChip: (chip) =>
            (chip.kind === 'number' && chips[chip.number]?.open()) as ReturnType<SimulatedChip['open']>,
          clock: systemClock,
          onOverdue: () => {},
          say: () => {},
        });
        // What is let go of is inactive by its resistor.
        const isActive = (name: string): boolean => {
          const at = names.indexOf(name);
          const { chip, offset } = place(at);
          return (chips[chip]?.levelAt(offset) === 1) !== low[at];
        };
        const clashes: string[] = [];
        const look = (): void => {
          for (const each of interlocks) {
            const active = each.filter(isActive);
            if (active.length > 1) clashes.push(active.join('+'));
          }
        };
        for (const chip of chips) chip.onChange(look);
        for (const act of told) {
          const before = names.map((name) => lines.line(name).value);
          const all = typeof act === 'string' ? [] : Object.entries(act);
          try {
            if (typeof act === 'string') await lines.makeSafe();
            else await lines.drive(new Map(all as [string, OutputValue][]));
          } catch (error) {
            expect(error).toMatchObject({ code: 'interlocked' });
            expect(names.map((name) => lines.line(name).value)).toEqual(before);
          }
          look();
        }
        expect(clashes).toEqual([]);
      },
    ),
  );
});

function line(name: string, at: number | string): LinePlan {
  const output = { mode: 'push-pull', safe: 'inactive', maxActiveMs: undefined } as const;
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
  const plan = {
    name: 'dut',
    requireFence: false,
    lines,
    power: undefined,
    interlocks: [],
    sequences: new Map(),
  };
  await expect(
    TargetLines.take(plan, {
      openChip: () => chip.open(),
      clock: systemClock,
      onOverdue: () => {},
      say: () => {},
    }),
  ).rejects.toMatchObject({ blame: 'config', message });
});
