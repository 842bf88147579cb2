import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import type { Clock } from '../../src/jig/clock.ts';
import { JigConfig } from '../../src/jig/config.ts';
import type { GpioChip, LineRequest } from '../../src/jig/gpio.ts';
import { planTargets } from '../../src/jig/plan.ts';
import { SimulatedChip } from '../../src/jig/simulated-chip.ts';
import { TargetLines } from '../../src/jig/target-lines.ts';
import { until } from '../until.ts';

const NAMES = ['forward', 'reverse'];

/** A clock on which nobody wakes up unless the test says so. */
class StoppedClock implements Clock {
  readonly sleeps: { readonly signal: AbortSignal; readonly wake: () => void }[] = [];

  nowMs(): number {
    return 0;
  }

  sleepUntil(_atMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.sleeps.push({ signal, wake: resolve });
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  }

  /** Whether each of those who went to sleep, in their order, still does. */
  get asleep(): boolean[] {
    return this.sleeps.map(({ signal }) => !signal.aborted);
  }
}

/** Lets a simulated chip make pulses by itself, each as long as the test says: until its `end` is called. */
class Pulses {
  /** Of the pulse that goes on. */
  end: (() => void) | undefined;
  /** What the next pulse fails with, half way. */
  failure: Error | undefined;

  async open(chip: SimulatedChip): Promise<GpioChip> {
    const opened = await chip.open();
    const request = opened.request.bind(opened);
    return Object.assign(opened, {
      request: async (...args: Parameters<GpioChip['request']>) => this.#pulsing(await request(...args)),
    });
  }

  #pulsing(lines: LineRequest): LineRequest {
    const set = lines.set.bind(lines);
    const release = lines[Symbol.asyncDispose].bind(lines);
    let last: Promise<unknown> = Promise.resolve();
    const inTurn = async <T>(act: () => Promise<T>): Promise<T> => {
      const done = last.then(act);
      last = done.catch(() => {});
      return await done;
    };
    return Object.assign(lines, {
      [Symbol.asyncDispose]: async () => await inTurn(async () => await release()),
      set: async (...args: Parameters<LineRequest['set']>) => await inTurn(() => set(...args)),
      pulse: async (...[during, after]: Parameters<NonNullable<LineRequest['pulse']>>) =>
        await inTurn(async () => {
          await set(during);
          await new Promise<void>((resolve) => {
            this.end = resolve;
          });
          this.end = undefined;
          if (this.failure) throw this.failure;
          await set(after);
          return { beganMs: 0, endedMs: 1 };
        }),
    });
  }
}

async function bench(rest: { interlocks?: string[][]; maxActive?: string }) {
  const chip = new SimulatedChip('chip 0', ['', '']);
  const changes: string[] = [];
  chip.onChange((offset, level) => changes.push(`${NAMES[offset]}=${level}`));
  const { interlocks, ...each } = rest;
  const gpios = NAMES.map((name, offset) => ({ name, chip_index: 0, offset, ...each }));
  const target = { name: 'dut', gpios, sequences: [], ...(interlocks ? { interlocks } : {}) };
  const [plan] = planTargets(
    parse(JigConfig, { schema: 'sai-jig', targets: [target] }, 'jig.json'),
    'jig.json',
  );
  if (!plan) throw new Error('expected a target');
  const clock = new StoppedClock();
  const pulses = new Pulses();
  const overdue: string[] = [];
  const lines = await TargetLines.take(plan, {
    openChip: () => pulses.open(chip),
    clock,
    onOverdue: ({ name }) => overdue.push(name),
    say: () => {},
  });
  onTestFinished(async () => await lines[Symbol.asyncDispose]());
  const begun = async (): Promise<void> => await until(() => pulses.end !== undefined, 'the pulse has begun');
  return { lines, clock, pulses, changes, overdue, begun };
}

test('a line whose rival is active is not pulsed active, and no level changes; it is pulsed inactive', async () => {
  const { lines, changes, pulses, begun } = await bench({ interlocks: [NAMES] });
  await lines.drive(new Map([['forward', 'active']]));
  await expect(lines.pulse('reverse', 'active', 1)).rejects.toMatchObject({
    code: 'interlocked',
    message:
      'expected at most one of reverse and forward active, got both; set forward to 0 first, or in the same step',
  });
  expect(changes).toEqual(['forward=1']);
  const pulse = lines.pulse('reverse', 'inactive', 1);
  await begun();
  pulses.end?.();
  await pulse;
  expect(changes).toEqual(['forward=1']);
});

test('during the pulse of a line its rivals are refused, and after it they are not', async () => {
  const { lines, changes, pulses, begun } = await bench({ interlocks: [NAMES] });
  const pulse = lines.pulse('reverse', 'active', 1);
  await begun();
  await expect(lines.drive(new Map([['forward', 'active']]))).rejects.toMatchObject({ code: 'interlocked' });
  pulses.end?.();
  await pulse;
  await lines.drive(new Map([['forward', 'active']]));
  expect(changes).toEqual(['reverse=1', 'reverse=0', 'forward=1']);
});

test('a pulse that is shorter than a line may be active ends by its own clock: however late it is told, it is not overdue', async () => {
  const { lines, clock, pulses, begun, overdue } = await bench({ maxActive: '10ms' });
  const pulse = lines.pulse('forward', 'active', 1);
  await begun();
  for (const { wake } of clock.sleeps) wake();
  pulses.end?.();
  await pulse;
  await nextTurn();
  expect(overdue).toEqual([]);
  expect(lines.line('forward').value).toBe('inactive');
});

test('an active line that is pulsed inactive counts its time anew', async () => {
  const { lines, clock, pulses, begun } = await bench({ maxActive: '10ms' });
  await lines.drive(new Map([['forward', 'active']]));
  const pulse = lines.pulse('forward', 'inactive', 1);
  await begun();
  expect(clock.asleep).toEqual([true]);
  pulses.end?.();
  await pulse;
  expect(clock.asleep).toEqual([false, true]);
});

test('a line whose time is up in the middle of a pulse is safe after it', async () => {
  const { lines, clock, pulses, begun, overdue, changes } = await bench({ maxActive: '10ms' });
  await lines.drive(new Map([['forward', 'active']]));
  const pulse = lines.pulse('forward', 'inactive', 1);
  await begun();
  clock.sleeps[0]?.wake();
  await until(() => overdue.length > 0, 'its time is up');
  pulses.end?.();
  await pulse;
  await until(() => lines.line('forward').value === 'inactive', 'it is safe');
  expect(changes).toEqual(['forward=1', 'forward=0', 'forward=1', 'forward=0']);
  expect(clock.asleep.at(-1)).toBe(false);
});

test('a pulse that fails half way leaves a line that counts as active, until it is made safe', async () => {
  const { lines, clock, pulses, begun, overdue, changes } = await bench({
    interlocks: [NAMES],
    maxActive: '10ms',
  });
  pulses.failure = new Error('EIO');
  const pulse = lines.pulse('forward', 'active', 1);
  await begun();
  pulses.end?.();
  await expect(pulse).rejects.toThrow('EIO');
  expect(lines.line('forward').value).toBe('active');
  await expect(lines.drive(new Map([['reverse', 'active']]))).rejects.toMatchObject({ code: 'interlocked' });
  expect(clock.asleep).toEqual([true]);
  clock.sleeps[0]?.wake();
  await until(() => lines.line('forward').value === 'inactive', 'it is safe');
  expect(overdue).toEqual(['forward']);
  expect(changes).toEqual(['forward=1', 'forward=0']);
});

test('a line that was let go of in the middle of a pulse is never overdue', async () => {
  const { lines, clock, pulses, begun, overdue } = await bench({ maxActive: '10ms' });
  await lines.drive(new Map([['forward', 'active']]));
  const pulse = lines.pulse('forward', 'inactive', 1);
  await begun();
  const released = lines[Symbol.asyncDispose]();
  pulses.end?.();
  await Promise.allSettled([pulse, released]);
  for (const { wake } of clock.sleeps) wake();
  await nextTurn();
  expect(overdue).toEqual([]);
});
