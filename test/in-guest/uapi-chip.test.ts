import { expect, test } from 'vitest';
import { packageFile } from '../../src/base/package-file.ts';
import type { EdgeEvent, LineRequest, LineSettings, PulseTimes } from '../../src/jig/gpio.ts';
import type { ChipId } from '../../src/jig/plan.ts';
import { PulseThread } from '../../src/jig/pulse-thread.ts';
import { openUapiChip } from '../../src/jig/uapi-chip.ts';
import { DescriptorWatch } from '../../src/native/descriptor-watch.ts';
import { gpioContract } from '../jig/gpio-contract.ts';
import { until } from '../until.ts';
import { simBench } from './sim-bench.ts';

const watch = new DescriptorWatch();
const pulses = new PulseThread(packageFile('dist/jig-pulse.cjs'));
const open = (id: ChipId) => openUapiChip(id, watch, pulses);
const bench = () => simBench(async (label) => open({ kind: 'name', name: label }));
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
    await using chip = open(id);
    expect(chip.name).toBe(`${name} (${label})`);
  }
  const twin = simBench(async () => open({ kind: 'name', name: label }), label);
  await expect(twin.open()).rejects.toMatchObject({
    blame: 'config',
    message: `chip ${label}: expected the label of one chip, ${name} and ${twin.path().slice('/dev/'.length)} have it; name one`,
  });
  expect(() => open({ kind: 'number', number: 99 })).toThrow(
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

test('changes of inputs that the kernel has no room for are counted, and what the lines carry then is told', async () => {
  const rig = bench();
  await using chip = await rig.open();
  const input = { direction: 'input', bias: 'as-is' } as const;
  await using request = await chip.request(
    'a test',
    new Map([
      [3, input],
      [4, input],
    ]),
  );
  const told: string[] = [];
  request.onEdge(({ offset, level }) => told.push(`${offset}=${level}`));
  request.onLoss?.((count) => told.push(`${count} lost`));
  // All in one turn: nobody takes what the kernel keeps, which is 1024 changes.
  rig.driveFromBoard(4, 1);
  for (let change = 1; change <= 1201; change += 1) rig.driveFromBoard(3, change % 2 === 1 ? 1 : 0);
  request.catchUp?.();
  expect(told.filter((each) => each.startsWith('3='))).toHaveLength(1024);
  expect(told.filter((each) => !each.startsWith('3='))).toEqual(['177 lost', '4=1']);
  expect([told.at(-2), await request.get(3)]).toEqual(['3=1', 1]);
  told.length = 0;
  rig.driveFromBoard(4, 0);
  await until(() => told.length === 2, 'the next change is told');
  expect(told).toEqual(['1 lost', '4=0']);
});

test('a pull of the chip is the level of a line that nobody drives', async () => {
  const rig = bench();
  await using chip = await rig.open();
  await using request = await chip.request('a test', new Map([[4, { direction: 'input', bias: 'pull-up' }]]));
  expect(await request.get(4)).toBe(1);
});

async function pulse(
  request: LineRequest,
  ...how: Parameters<NonNullable<LineRequest['pulse']>>
): Promise<PulseTimes> {
  if (!request.pulse) throw new Error('expected lines that can be pulsed');
  return await request.pulse(...how);
}

test('a pulse is never shorter than it was asked to be, and says when it was', async () => {
  const rig = bench();
  await using chip = await rig.open();
  await using request = await chip.request('a test', new Map([[0, { ...output, initial: 0 }]]));
  const lengths = [1, 2, 1, 4, 1];
  const told: number[] = [];
  for (const forMs of lengths) {
    const times = await pulse(request, new Map([[0, 1]]), new Map([[0, 0]]), forMs);
    told.push(times.endedMs - times.beganMs);
  }
  expect(rig.changes).toEqual(lengths.flatMap(() => ['reset=1', 'reset=0']));
  // The first told it what it is from the beginning on.
  const pulses = rig.intervalsMs(0).filter((_, index) => index % 2 === 1);
  expect(pulses).toHaveLength(lengths.length);
  for (const [index, forMs] of lengths.entries()) {
    expect(pulses[index]).toBeGreaterThanOrEqual(forMs);
    expect(told[index]).toBeGreaterThanOrEqual(forMs);
  }
});

test('what is asked of lines during a pulse is done after it, their release too', async () => {
  const rig = bench();
  await using chip = await rig.open();
  const wanted: [number, LineSettings][] = [
    [0, { ...output, initial: 0 }],
    [1, { ...output, initial: 0 }],
    [2, { ...output, initial: 'released' }],
  ];
  const request = await chip.request('a test', new Map(wanted));
  const told = [
    pulse(request, new Map([[0, 1]]), new Map([[0, 0]]), 3),
    request.set(new Map([[1, 1]])),
    pulse(request, new Map([[2, 1]]), new Map([[2, 'released']]), 3),
    request.set(new Map([[1, 0]])),
  ];
  await Promise.all(told);
  expect(rig.changes).toEqual(['reset=1', 'reset=0', 'boot=1', 'power=1', 'power=0', 'boot=0']);
  const last = pulse(request, new Map([[0, 1]]), new Map([[0, 0]]), 4);
  await request[Symbol.asyncDispose]();
  await last;
  expect(rig.changes.slice(6)).toEqual(['reset=1', 'reset=0']);
});

test('a chip that goes away in the middle of a pulse ends it', async () => {
  const rig = bench();
  await using chip = await rig.open();
  await using request = await chip.request('a test', new Map([[0, { ...output, initial: 0 }]]));
  const made = pulse(request, new Map([[0, 1]]), new Map([[0, 0]]), 1000);
  made.catch(() => {}); // until it is looked at
  await until(() => rig.levelAt(0) === 1, 'it has begun');
  await rig.unplug();
  await expect(made).rejects.toMatchObject({ blame: 'unavailable' });
});

test('a pulse of a line that is no output is refused', async () => {
  const rig = bench();
  await using chip = await rig.open();
  await using request = await chip.request('a test', new Map([[4, { direction: 'input', bias: 'as-is' }]]));
  const made = pulse(request, new Map([[4, 1]]), new Map([[4, 0]]), 1);
  await expect(made).rejects.toMatchObject({ blame: 'usage' });
});
