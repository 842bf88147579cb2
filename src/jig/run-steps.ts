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
    await run.perform(steps, onStep);
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
  /** How many steps were done without a rest. */
  #rushed = 0;
  /** What happened, in the clock's own time, is told once there is time: it makes no step late. */
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
    for (const { step, text, plannedMs, actualMs } of this.#untold.splice(0)) {
      this.#onTrace({
        step,
        text,
        plannedMs: toMicroseconds(plannedMs - this.#startMs),
        actualMs: toMicroseconds(actualMs - this.#startMs),
      });
    }
  }

  /** In one function, and made ready while there is time: after it was woken, a slow host is slow with all that it does. */
  async perform(steps: readonly Step[], onStep: (step: Step) => void): Promise<void> {
    let ready: Drives | undefined;
    for (const [index, step] of steps.entries()) {
      if (this.#rushed >= LONGEST_RUSH) await this.#rest();
      this.#rushed += 1;
      if (this.#signal.aborted) throw this.#signal.reason;
      onStep(step);
      switch (step.kind) {
        case 'set': {
          const drives = ready ?? drivesOf(step);
          ready = undefined;
          // From here on: what it provokes may come before it is acknowledged.
          this.#forgetChanges();
          await this.#board.drive(drives);
          this.#trace(step, step.text);
          break;
        }
        case 'pause': {
          const next = steps[index + 1];
          if (next?.kind === 'set') ready = drivesOf(next);
          const untilMs = this.#planned(step.pauseMs, step.pauseMs * (1 - LARGEST_CATCH_UP));
          await this.#nap(untilMs);
          this.#forgetChanges();
          this.#clock.waitOut?.(untilMs);
          this.#trace(step, step.text);
          break;
        }
        case 'pulse':
          await this.#pulse(step);
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

  async #pulse(step: Step & { readonly kind: 'pulse' }): Promise<void> {
    const { line, value, forMs, text } = step;
    const before = this.#board.line(line).value;
    const back = `${line} back to ${SHOWN[before]}`;
    this.#forgetChanges();
    // By the chip's own clock, where it has one.
    const pulsed = isShortPulse(step) ? this.#board.pulse(line, value, forMs) : undefined;
    if (pulsed) this.tell(); // while another thread makes it
    const times = await pulsed;
    if (times) {
      this.#trace(step, text, times.beganMs);
      this.#dueMs += forMs;
      this.#trace(step, back, times.endedMs);
      return;
    }
    await this.#board.drive(new Map([[line, value]]));
    this.#trace(step, text);
    const after = new Map([[line, before]]);
    const untilMs = this.#planned(forMs, forMs);
    await this.#nap(untilMs);
    this.#signal.throwIfAborted();
    this.#forgetChanges();
    this.#clock.waitOut?.(untilMs);
    await this.#board.drive(after);
    this.#trace(step, back);
  }

  /** Whatever else there is to do is done, and what happened is told: not all of it at once, at the end. */
  async #rest(): Promise<void> {
    this.#rushed = 0;
    this.tell();
    await this.#clock.sleepUntil(this.#happenedMs, this.#signal);
  }

  /** When it ends: `ms` after what was due before, but at least `shortestMs` after what happened last. */
  #planned(ms: number, shortestMs: number): number {
    this.#dueMs += ms;
    this.#rushed = 0;
    this.tell();
    return Math.max(this.#dueMs, this.#happenedMs + shortestMs);
  }

  /**
   * Almost until then: the rest is to be waited out. Not of a sequence that waits for an input: an edge that comes while
   * everything stands still is told later, as if it came after the next step.
   */
  #nap(untilMs: number): Promise<void> {
    const clock = this.#clock;
    if (this.#changes.size > 0 || !clock.sleepAlmostUntil) return clock.sleepUntil(untilMs, this.#signal);
    return clock.sleepAlmostUntil(untilMs, this.#signal);
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
    const read = async (): Promise<LineValue> => await this.#board.line(line).read();
    let value: LineValue | undefined;
    using either = new LinkedSignal([found, this.#signal]);
    try {
      for (let nowMs = this.#clock.nowMs(); nowMs < atMs; nowMs = this.#clock.nowMs()) {
        await this.#clock.sleepUntil(Math.min(atMs, nowMs + LOOK_AGAIN_MS), either.signal);
        if (!('value' in until)) continue;
        value = await read();
        if (value === until.value) return;
      }
      // Of who was stopped, or held up, timers tell before the chip does: what came meanwhile came.
      await this.#clock.sleepUntil(atMs, either.signal);
      this.#board.line(line).catchUp();
      if (found.aborted) return;
      value ??= await read();
      if (found.aborted) return;
    } catch (error) {
      this.#signal.throwIfAborted();
      if (found.aborted) return;
      throw error;
    }
    this.#signal.throwIfAborted();
    throw new RigError('verdict', `${path}: ${text}: it did not come; ${line} is ${SHOWN[value]}`);
  }

  #trace({ path }: Step, text: string, happenedMs = this.#clock.nowMs()): void {
    this.#happenedMs = happenedMs;
    this.#untold.push({ step: path, text, plannedMs: this.#dueMs, actualMs: happenedMs });
  }
}

/** So many steps without a pause are done at once; then others have their turn, and who wants to end it. */
const LONGEST_RUSH = 100;

type Drives = Parameters<StepBoard['drive']>[0];

function drivesOf({ values }: Step & { readonly kind: 'set' }): Drives {
  return new Map(values.map(({ line, value }) => [line, value]));
}

/** More edges of one line between two steps say nothing new. */
const KEPT_CHANGES = 64;

/** How often a line that has told of no change is looked at: some chips have no interrupts. */
const LOOK_AGAIN_MS = 100;

const SHOWN: Readonly<Record<OutputValue, string>> = { active: '1', inactive: '0', released: 'released' };

function isEdge(edge: 'rising' | 'falling' | 'both', value: LineValue): boolean {
  return edge === 'both' || (edge === 'rising') === (value === 'active');
}
