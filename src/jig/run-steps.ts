import { RigError } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import type { TraceEntry } from '../wire/jig.ts';
import { type Clock, toMicroseconds } from './clock.ts';
import type { CallHttp } from './http-call.ts';
import type { Line } from './line.ts';
import { PeerError } from './peer-error.ts';
import type { LineValue, OutputValue } from './plan.ts';
import type { TurnPower } from './power.ts';
import { type Condition, isShortPulse, type Step } from './sequence.ts';
import type { TargetLines } from './target-lines.ts';

/**
 * How much of a pause may be given up to catch up with the plan. Enough for the lateness of timers, which would add
 * up otherwise; not so much that a board which needs the time does not get it. A pulse gives up nothing.
 */
const LARGEST_CATCH_UP = 0.1;

/** What the steps act on. */
export interface StepBoard {
  line(name: string): Pick<Line, 'value' | 'read' | 'catchUp' | 'onChange'>;
  /** All of them or, where that is refused, none. */
  drive(values: ReadonlyMap<string, OutputValue>): Promise<void>;
  turnPower: TurnPower;
  callHttp: CallHttp;
  pulse: TargetLines['pulse'];
}

/**
 * Does the steps, each at its time after the first: late ones do not make later ones late, as long as pauses are
 * long enough to catch up. Each is told to `onStep` just before it is begun.
 *
 * @throws {RigError} blame `verdict` when an input does not do in time what is waited for
 * @throws what a line throws, the reason of `signal`
 */
export async function runSteps(
  steps: readonly Step[],
  board: StepBoard,
  clock: Clock,
  signal: AbortSignal,
  onTrace: (entry: TraceEntry) => void,
  onStep: (step: Step) => void = () => {},
): Promise<void> {
  const run = new StepRun(board, clock, signal, onTrace);
  using _watch = run.watch(steps);
  try {
    for (const step of steps) {
      signal.throwIfAborted();
      onStep(step);
      await run.perform(step);
    }
  } finally {
    run.tell();
  }
  // A pause at the end is kept, and an abort during the last change is an abort.
  signal.throwIfAborted();
}

class StepRun {
  readonly #board: StepBoard;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #onTrace: (entry: TraceEntry) => void;
  readonly #startMs: number;
  /** When the next thing is due. */
  #dueMs: number;
  /** When the last had happened. */
  #happenedMs: number;
  /** What happened is told once there is time: it makes no step late. */
  #untold: TraceEntry[] = [];
  /**
   * Changes of each awaited input that no wait has used, oldest first. By their arrival and not by their times: those
   * of a chip that is behind may be older than what provoked them. One that can catch up is asked to.
   */
  readonly #changes = new Map<string, LineValue[]>();
  #onChange: () => void = () => {};

  constructor(board: StepBoard, clock: Clock, signal: AbortSignal, onTrace: (entry: TraceEntry) => void) {
    this.#board = board;
    this.#clock = clock;
    this.#signal = signal;
    this.#onTrace = onTrace;
    this.#startMs = clock.nowMs();
    this.#dueMs = this.#startMs;
    this.#happenedMs = this.#startMs;
  }

  /** Edges are kept from the beginning on: one that comes between two steps is not lost. */
  watch(steps: readonly Step[]): Disposable {
    const names = new Set(steps.filter((step) => step.kind === 'wait').map(({ line }) => line));
    const stops = [...names].map((name) => {
      const changes: LineValue[] = [];
      this.#changes.set(name, changes);
      return this.#board.line(name).onChange((value) => {
        changes.push(value);
        if (changes.length > KEPT_CHANGES) changes.shift();
        this.#onChange();
      });
    });
    return {
      [Symbol.dispose]: () => {
        for (const stop of stops) stop();
      },
    };
  }

  tell(): void {
    for (const entry of this.#untold.splice(0)) this.#onTrace(entry);
  }

  async perform(step: Step): Promise<void> {
    switch (step.kind) {
      case 'set':
        await this.#drive(step, new Map(step.values.map(({ line, value }) => [line, value])), step.text);
        break;
      case 'pulse': {
        const before = this.#board.line(step.line).value;
        const back = `${step.line} back to ${SHOWN[before]}`;
        if (isShortPulse(step) && (await this.#pulse(step, back))) break;
        await this.#drive(step, new Map([[step.line, step.value]]), step.text);
        await this.#pass(step.forMs, step.forMs);
        await this.#drive(step, new Map([[step.line, before]]), back);
        break;
      }
      case 'pause':
        await this.#pass(step.pauseMs, step.pauseMs * (1 - LARGEST_CATCH_UP));
        this.#forgetChanges();
        this.#trace(step, step.text);
        break;
      case 'wait':
        await this.#wait(step);
        this.#trace(step, step.text);
        break;
      case 'power':
        await this.#ask(step, () => this.#board.turnPower(step.value, this.#signal));
        break;
      case 'http':
        await this.#ask(step, () => this.#call(step));
    }
  }

  async #drive(step: Step, values: ReadonlyMap<string, OutputValue>, text: string): Promise<void> {
    // From here on: what it provokes may come before it is acknowledged.
    this.#forgetChanges();
    await this.#board.drive(values);
    this.#trace(step, text);
  }

  /** What somebody else does takes as long as it takes: the next step is planned from its end. */
  async #ask(step: Step, ask: () => Promise<void>): Promise<void> {
    this.#forgetChanges();
    this.tell();
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      throw new PeerError(error.code, `${step.path}: ${step.text}: ${error.message}`, { cause: error });
    }
    this.#dueMs = this.#clock.nowMs();
    this.#trace(step, step.text);
  }

  async #call({ call }: Step & { readonly kind: 'http' }): Promise<void> {
    const { expected } = call;
    const { status } = await this.#board.callHttp(call, this.#signal);
    const isExpected = expected === undefined ? status >= 200 && status < 300 : status === expected;
    if (!isExpected)
      throw new PeerError('peer-answer', `expected ${expected ?? 'a 2xx status'}, got ${status}`);
  }

  /** By the chip's own clock; false, with nothing done, where it has none. */
  async #pulse(step: Step & { readonly kind: 'pulse' }, back: string): Promise<boolean> {
    this.#forgetChanges();
    const times = await this.#board.pulse(step.line, step.value, step.forMs);
    if (!times) return false;
    this.#trace(step, step.text, times.beganMs);
    this.#dueMs += step.forMs;
    this.#trace(step, back, times.endedMs);
    return true;
  }

  /** Until `ms` after what was due before, but for at least `shortestMs` from what happened last. */
  async #pass(ms: number, shortestMs: number): Promise<void> {
    this.#dueMs += ms;
    this.tell();
    await this.#clock.sleepUntil(Math.max(this.#dueMs, this.#happenedMs + shortestMs), this.#signal);
  }

  async #wait(step: Step & { readonly kind: 'wait' }): Promise<void> {
    const { line, until, withinMs } = step;
    const changes = this.#changes.get(line) ?? [];
    this.tell();
    // What it carries now counts, not what it carried once.
    if ('value' in until) this.#forgetChanges([line]);
    const found = new AbortController();
    const look = (): void => {
      if (found.signal.aborted || !this.#isMet(until, changes)) return;
      found.abort();
    };
    this.#onChange = look;
    try {
      if ('value' in until) {
        if ((await this.#board.line(line).read()) === until.value && changes.length === 0) found.abort();
      }
      look();
      await this.#untilFound(found.signal, this.#clock.nowMs() + withinMs, step);
    } finally {
      this.#onChange = () => {};
    }
    this.#dueMs = this.#clock.nowMs();
  }

  /** An edge is used up; what came after it is for the next wait. */
  #isMet(until: Condition, changes: LineValue[]): boolean {
    if ('value' in until) return changes.at(-1) === until.value;
    const index = changes.findIndex((value) => isEdge(until.edge, value));
    if (index >= 0) changes.splice(0, index + 1);
    return index >= 0;
  }

  #forgetChanges(names: Iterable<string> = this.#changes.keys()): void {
    for (const name of names) {
      this.#board.line(name).catchUp();
      this.#changes.get(name)?.splice(0);
    }
  }

  async #untilFound(
    found: AbortSignal,
    atMs: number,
    { path, text, line, until }: Step & { readonly kind: 'wait' },
  ): Promise<void> {
    using either = new LinkedSignal([found, this.#signal]);
    try {
      for (let nowMs = this.#clock.nowMs(); nowMs < atMs; nowMs = this.#clock.nowMs()) {
        await this.#clock.sleepUntil(Math.min(atMs, nowMs + LOOK_AGAIN_MS), either.signal);
        if ('value' in until && (await this.#board.line(line).read()) === until.value) return;
      }
    } catch (error) {
      this.#signal.throwIfAborted();
      if (found.aborted) return;
      throw error;
    }
    throw new RigError('verdict', `${path}: ${text}: it did not come`);
  }

  #trace({ path }: Step, text: string, happenedMs = this.#clock.nowMs()): void {
    this.#happenedMs = happenedMs;
    this.#untold.push({
      step: path,
      text,
      plannedMs: toMicroseconds(this.#dueMs - this.#startMs),
      actualMs: toMicroseconds(happenedMs - this.#startMs),
    });
  }
}

/** More edges of one line between two steps say nothing new. */
const KEPT_CHANGES = 64;

/** How often a line that has told of no change is looked at: some chips have no interrupts. */
const LOOK_AGAIN_MS = 100;

const SHOWN: Readonly<Record<OutputValue, string>> = { active: '1', inactive: '0', released: 'released' };

function isEdge(edge: 'rising' | 'falling' | 'both', value: LineValue): boolean {
  return edge === 'both' || (edge === 'rising') === (value === 'active');
}
