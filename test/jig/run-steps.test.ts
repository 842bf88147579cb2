import { describe, expect, test } from 'vitest';
import type { HttpAnswer, HttpCall } from '../../src/jig/http-call.ts';
import type { LineValue, OutputValue } from '../../src/jig/plan.ts';
import type { PowerValue } from '../../src/jig/power.ts';
import { runSteps, type StepBoard } from '../../src/jig/run-steps.ts';
import type { Step } from '../../src/jig/sequence.ts';
import type { TraceEntry } from '../../src/wire/jig.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Two lines in virtual time: `reset` is driven, `led` is the board's. */
class Wires implements StepBoard {
  readonly clock = new VirtualClock();
  readonly startMs = this.clock.nowMs();
  readonly driven: string[] = [];
  /** How long the chip takes to do as it is told. */
  driveMs = 0;
  /** What the web server says. */
  httpStatus = 204;
  /** How long it takes whoever is told of a step. */
  tellMs = 0;
  onDrive: (value: OutputValue) => void = () => {};
  /** Of the chip's own clock, in which nothing is late; undefined without one. */
  pulsed: string[] | undefined;
  /** What the chip does when it is asked for what it has not told yet. */
  catchUp: () => void = () => {};
  #reset: OutputValue = 'inactive';
  #led: LineValue = 'inactive';
  readonly #listeners = new Set<(value: LineValue) => void>();

  line(name: string): ReturnType<StepBoard['line']> {
    const wires = this;
    return {
      get value() {
        return name === 'reset' ? wires.#reset : wires.#led;
      },
      read: async () => this.#led,
      catchUp: () => this.catchUp(),
      onChange: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
  }

  async drive(values: ReadonlyMap<string, OutputValue>): Promise<void> {
    this.clock.pass(this.driveMs);
    for (const value of values.values()) {
      this.#reset = value;
      this.driven.push(`${this.clock.nowMs() - this.startMs} ${value}`);
      this.onDrive(value);
    }
  }

  async turnPower(value: PowerValue): Promise<void> {
    this.clock.pass(this.driveMs);
    this.driven.push(`${this.clock.nowMs() - this.startMs} power ${value}`);
  }

  async callHttp({ method, url }: HttpCall): Promise<HttpAnswer> {
    this.clock.pass(this.driveMs);
    this.driven.push(`${this.clock.nowMs() - this.startMs} ${method} ${url}`);
    return { status: this.httpStatus, text: '' };
  }

  async pulse(name: string, value: LineValue, forMs: number): ReturnType<StepBoard['pulse']> {
    if (!this.pulsed) return undefined;
    this.pulsed.push(`${name} ${value} for ${forMs}`);
    const beganMs = this.clock.nowMs();
    this.clock.pass(forMs);
    return { beganMs, endedMs: this.clock.nowMs() };
  }

  ledInSilence(value: LineValue): void {
    this.#led = value;
  }

  led(value: LineValue): void {
    this.#led = value;
    for (const listener of this.#listeners) listener(value);
  }

  async run(steps: readonly Step[], signal = new AbortController().signal): Promise<TraceEntry[]> {
    const trace: TraceEntry[] = [];
    await runSteps(steps, this, this.clock, signal, (entry) => {
      trace.push(entry);
      this.clock.pass(this.tellMs);
    });
    expect(this.#listeners.size).toBe(0);
    return trace;
  }
}

const at = { path: 'seq.0', text: 'a step' };
const set = (value: LineValue): Step => ({ ...at, kind: 'set', values: [{ line: 'reset', value }] });
const pause = (pauseMs: number): Step => ({ ...at, kind: 'pause', pauseMs });
const pulse = (forMs: number, value: LineValue = 'active'): Step => ({
  ...at,
  kind: 'pulse',
  line: 'reset',
  value,
  forMs,
});
const waitFor = (until: (Step & { kind: 'wait' })['until'], withinMs = 100): Step => ({
  ...at,
  kind: 'wait',
  line: 'led',
  until,
  withinMs,
});

describe('a run of steps', () => {
  test('does each at its time, and writes down when', async () => {
    const wires = new Wires();
    const trace = await wires.run([set('active'), pause(50), set('inactive'), pause(10)]);
    expect(wires.driven).toEqual(['0 active', '50 inactive']);
    expect(trace.map(({ plannedMs, actualMs }) => [plannedMs, actualMs])).toEqual([
      [0, 0],
      [50, 50],
      [50, 50],
      [60, 60],
    ]);
  });

  test('does not drift: late timers do not add up over three hundred steps', async () => {
    const wires = new Wires();
    wires.clock.latenessMs = () => 0.9;
    wires.driveMs = 0.05;
    const steps = Array.from({ length: 150 }, (_, index) => [
      set(index % 2 === 0 ? 'active' : 'inactive'),
      pause(10),
    ]);
    const trace = await wires.run(steps.flat());
    const delays = trace.map(({ plannedMs, actualMs }) => actualMs - plannedMs);
    expect(trace.at(-1)?.plannedMs).toBe(1500);
    expect(Math.max(...delays)).toBeLessThan(1);
  });

  test('is not late for what it takes to tell of each step', async () => {
    const wires = new Wires();
    wires.tellMs = 4;
    const steps = Array.from({ length: 20 }, () => [set('active'), pause(10)]).flat();
    const trace = await wires.run(steps);
    expect(wires.driven.slice(0, 3)).toEqual(['0 active', '10 active', '20 active']);
    expect(trace.map(({ plannedMs, actualMs }) => actualMs - plannedMs)).toEqual(Array(40).fill(0));
  });

  test('waits the last moment of a pause out, and of none where an edge may come that is awaited', async () => {
    const wires = new Wires();
    await wires.run([set('active'), pause(50), set('inactive'), pulse(10), pause(5)]);
    expect(wires.clock.stoodStillMs).toBe(3);
    const watching = new Wires();
    watching.led('active');
    await watching.run([set('active'), pause(50), set('inactive'), pulse(10), waitFor({ value: 'active' })]);
    expect(watching.clock.stoodStillMs).toBe(0);
    expect(watching.driven.slice(0, 2)).toEqual(wires.driven.slice(0, 2));
  });

  test('lets others have their turn, and who wants to end it, among thousands of steps without a pause', async () => {
    const wires = new Wires();
    const abort = new AbortController();
    const reason = new Error('enough');
    const told: number[] = [];
    wires.clock.onSleep = () => {
      told.push(trace.length);
      if (told.length === 10) abort.abort(reason);
    };
    const trace: TraceEntry[] = [];
    const steps = Array.from({ length: 5000 }, () => set('active'));
    const run = runSteps(steps, wires, wires.clock, abort.signal, (entry) => trace.push(entry));
    await expect(run).rejects.toBe(reason);
    expect(told).toEqual(Array.from({ length: 10 }, (_, turn) => 100 * (turn + 1)));
    expect(wires.driven).toHaveLength(1000);
    expect(wires.clock.nowMs()).toBe(wires.startMs);
  });

  test('gives a board the time it needs after a long stall, and says how late it is', async () => {
    const wires = new Wires();
    let stalls = 1;
    wires.clock.latenessMs = () => (stalls-- > 0 ? 200 : 0);
    const trace = await wires.run([
      set('active'),
      pause(50),
      set('inactive'),
      pause(100),
      set('active'),
      pause(100),
    ]);
    expect(wires.driven).toEqual(['0 active', '250 inactive', '340 active']);
    expect(trace.map(({ plannedMs }) => plannedMs)).toEqual([0, 50, 50, 150, 150, 250]);
    expect(trace.at(-1)?.actualMs).toBe(430);
  });

  test('never shortens a pulse', async () => {
    const wires = new Wires();
    wires.clock.latenessMs = () => 30;
    await wires.run([pause(50), pulse(20), pulse(20)]);
    expect(wires.driven).toEqual(['80 active', '130 inactive', '130 active', '180 inactive']);
  });

  test('leaves a short pulse, and no other, to a chip that has a finer clock', async () => {
    const wires = new Wires();
    wires.pulsed = [];
    const trace = await wires.run([pulse(1), pause(50), pulse(4), pulse(5), pulse(0)]);
    expect(wires.pulsed).toEqual(['reset active for 1', 'reset active for 4']);
    expect(trace.map(({ plannedMs, actualMs }) => [plannedMs, actualMs])).toEqual([
      ...[
        [0, 0],
        [1, 1],
        [51, 51],
        [51, 51],
        [55, 55],
        [55, 55],
        [60, 60],
        [60, 60],
        [60, 60],
      ],
    ]);
    expect(wires.driven).toEqual(['55 active', '60 inactive', '60 active', '60 inactive']);
  });

  test('makes a short pulse itself, no shorter, on a chip without one', async () => {
    const wires = new Wires();
    wires.clock.latenessMs = () => 2;
    await wires.run([pulse(1)]);
    expect(wires.driven).toEqual(['0 active', '3 inactive']);
  });

  test.each<[OutputValue]>([['inactive'], ['active'], ['released']])(
    'ends a pulse with what was there before: %s',
    async (before) => {
      const wires = new Wires();
      await wires.drive(new Map([['reset', before]]));
      const trace = await wires.run([pulse(10)]);
      expect(wires.driven.at(-1)).toBe(`10 ${before}`);
      expect(trace).toHaveLength(2);
    },
  );

  test('goes on at once when an input has the awaited value already', async () => {
    const wires = new Wires();
    wires.led('active');
    const trace = await wires.run([waitFor({ value: 'active' }), set('active')]);
    expect(trace.map(({ actualMs }) => actualMs)).toEqual([0, 0]);
  });

  test('goes on when the awaited value comes, and plans from there', async () => {
    const wires = new Wires();
    wires.clock.onSleep = (untilMs) => {
      if (untilMs !== wires.startMs + 100) return;
      wires.clock.pass(30);
      wires.led('active');
    };
    const trace = await wires.run([waitFor({ value: 'active' }), pause(10), set('active')]);
    expect(trace.map(({ plannedMs }) => plannedMs)).toEqual([30, 40, 40]);
    expect(wires.driven).toEqual(['40 active']);
  });

  test('sees the awaited value within a tenth of a second on a chip that tells of no change', async () => {
    const wires = new Wires();
    wires.clock.onSleep = (untilMs) => {
      if (untilMs === wires.startMs + 200) wires.ledInSilence('active');
    };
    const trace = await wires.run([waitFor({ value: 'active' }, 1000)]);
    expect(trace.map(({ actualMs }) => actualMs)).toEqual([200]);
  });

  test.each([
    ['rising', 'active'],
    ['falling', 'inactive'],
    ['both', 'active'],
    ['both', 'inactive'],
  ] as const)(
    'sees a %s edge that comes right after the step before, before it is awaited',
    async (edge, value) => {
      const wires = new Wires();
      wires.onDrive = () => queueMicrotask(() => wires.led(value));
      await wires.run([set('active'), waitFor({ edge })]);
      expect(wires.driven).toHaveLength(1);
    },
  );

  test('sees an edge that the step before provokes before the chip has acknowledged it', async () => {
    const wires = new Wires();
    wires.onDrive = () => wires.led('active');
    await wires.run([set('active'), waitFor({ edge: 'rising' })]);
    expect(wires.driven).toHaveLength(1);
  });

  test('takes one edge for one wait', async () => {
    const wires = new Wires();
    wires.onDrive = () => {
      for (const value of ['active', 'inactive', 'active'] as const) wires.led(value);
    };
    const rising = waitFor({ edge: 'rising' });
    await wires.run([set('active'), rising, rising]);
    await expect(wires.run([set('active'), rising, rising, rising])).rejects.toMatchObject({
      blame: 'verdict',
    });
  });

  test('does not take an edge from before the step before', async () => {
    const wires = new Wires();
    wires.clock.onSleep = (untilMs) => {
      if (untilMs !== wires.startMs + 50) return;
      wires.led('active');
      wires.clock.pass(1);
    };
    await expect(wires.run([pause(50), pause(50), waitFor({ edge: 'rising' })])).rejects.toMatchObject({
      blame: 'verdict',
      message: 'seq.0: a step: it did not come; led is 1',
    });
  });

  test('fails when the board does not do it in time', async () => {
    const wires = new Wires();
    const run = wires.run([waitFor({ value: 'active' }), set('active')]);
    await expect(run).rejects.toMatchObject({ blame: 'verdict' });
    expect(wires.clock.nowMs() - wires.startMs).toBe(100);
    expect(wires.driven).toEqual([]);
  });

  const call = (expected?: number): Step => ({
    ...at,
    kind: 'http',
    call: { url: 'http://rig/', method: 'PUT', headers: {}, body: undefined, expected, withinMs: 100 },
  });

  test('plans from the end of what others do, however long it takes', async () => {
    const wires = new Wires();
    wires.driveMs = 700;
    const power: Step = { ...at, kind: 'power', value: 'on', longestMs: 5000 };
    const trace = await wires.run([power, pause(50), call(), pause(50)]);
    expect(wires.driven).toEqual(['700 power on', '1450 PUT http://rig/']);
    expect(trace.map(({ plannedMs }) => plannedMs)).toEqual([700, 750, 1450, 1500]);
  });

  test.each([
    [204, undefined, 'done'],
    [404, 404, 'done'],
    [404, undefined, 'seq.0: a step: expected a 2xx status, got 404'],
    [302, undefined, 'seq.0: a step: expected a 2xx status, got 302'],
    [200, 201, 'seq.0: a step: expected 201, got 200'],
  ])('judges a server that answers %s where %s is expected', async (status, expected, outcome) => {
    const wires = new Wires();
    wires.httpStatus = status;
    const run = wires.run([call(expected)]).then(
      () => 'done',
      (error: unknown) => error,
    );
    if (outcome === 'done') expect(await run).toBe('done');
    else expect(await run).toMatchObject({ code: 'peer-answer', blame: 'protocol', message: outcome });
  });

  test('takes nothing that a chip tells late, and could have told before, for what a step provoked', async () => {
    const wires = new Wires();
    let kept = 0;
    wires.catchUp = () => {
      if (kept === 0) return;
      kept -= 1;
      wires.led('active');
      wires.ledInSilence('inactive');
    };
    for (const [changes, until] of [
      [1, { edge: 'rising' }],
      [2, { value: 'active' }],
    ] as const) {
      kept = changes;
      await expect(wires.run([set('active'), waitFor(until)])).rejects.toMatchObject({ blame: 'verdict' });
      expect(kept).toBe(0);
    }
  });

  test.each(['catches up', 'is told of by an event'])(
    'takes an edge that %s when time is up',
    async (how) => {
      const wires = new Wires();
      // The whole process was stopped: by the time that it goes on, both have happened.
      wires.clock.onSleep = (untilMs) => {
        if (wires.clock.nowMs() < untilMs) {
          wires.clock.pass(1000);
          if (how === 'catches up') {
            wires.catchUp = () => {
              wires.led('active');
              wires.catchUp = () => {};
            };
          }
        } else if (how !== 'catches up') wires.led('active');
      };
      await wires.run([set('active'), waitFor({ edge: 'rising' }), set('inactive')]);
      expect(wires.driven.map((each) => each.split(' ')[1])).toEqual(['active', 'inactive']);
    },
  );

  test('stops at whatever step it is when it is aborted', async () => {
    const steps = [set('active'), pause(10), pulse(10), waitFor({ value: 'active' }), set('inactive')];
    for (const stopAt of steps.keys()) {
      const wires = new Wires();
      const abort = new AbortController();
      const reason = new Error('enough');
      let step = 0;
      const count = (): void => {
        if (step++ === stopAt) abort.abort(reason);
      };
      wires.onDrive = count;
      wires.clock.onSleep = count;
      await expect(wires.run(steps, abort.signal)).rejects.toBe(reason);
    }
  });
});
