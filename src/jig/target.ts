import { formatDuration } from '../base/duration.ts';
import { reasonOf } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import type { JigEvent, RunReport, TargetStatus, TraceEntry } from '../wire/jig.ts';
import { type Clock, toMicroseconds } from './clock.ts';
import { JigError } from './jig-error.ts';
import { LineKeeper } from './line-keeper.ts';
import { type Peers, REAL_PEERS } from './peers.ts';
import type { LineValue, OutputValue, TargetPlan } from './plan.ts';
import { PowerSwitch, type PowerValue } from './power.ts';
import { failureOf, placeIn, type Running } from './run-failure.ts';
import { runSteps, type StepBoard } from './run-steps.ts';
import type { SequencePlan, Step } from './sequence.ts';
import type { LineCare, OpenChip, TargetLines } from './target-lines.ts';
import { Turns } from './turns.ts';

/** More waiting for one board than any lab has hands. */
const MAX_QUEUED = 100;

/** A chip that has not said by then what its inputs carry is not waited for. */
const LONGEST_LOOK_MS = 500;

/** What somebody asks a target for. */
export interface RunRequest {
  readonly sequence: string;
  /** 0: fails at once when the target is busy. */
  readonly waitMs: number;
  readonly fence: number | undefined;
  /** Aborted when who asked has gone. */
  readonly gone: AbortSignal;
  /** What that does to a run that has begun; one that waits is dropped in any case. */
  readonly onGone: 'finish' | 'abort';
}

export interface TargetParts {
  readonly openChip: OpenChip;
  readonly clock: Clock;
  readonly onEvent: (event: JigEvent) => void;
  /** What people who watch the jig should know. */
  readonly say: (text: string) => void;
  /** What the target asks for something; the real ones when left out. */
  readonly peers?: Peers;
  /** Told of each step just before it is begun. */
  readonly onStep?: (step: Step) => void;
}

/** One board as the jig sees it: runs one sequence at a time, and leaves its lines safe when one does not end well. */
export class Target implements AsyncDisposable {
  readonly plan: TargetPlan;
  readonly #parts: TargetParts;
  readonly #keeper: LineKeeper;
  readonly #power: PowerSwitch | undefined;
  readonly #peers: Peers;
  readonly #turns = new Turns();
  readonly #stop = new AbortController();
  #highestFence = 0;
  #runs = 0;
  #current: Running | undefined;
  /** Ends the run and every waiting request; replaced at each abort. */
  #abort = new AbortController();
  /** Ends the run alone; replaced at each. */
  #endOfRun = new AbortController();
  #last: RunReport | undefined;

  constructor(plan: TargetPlan, parts: TargetParts) {
    this.plan = plan;
    this.#parts = parts;
    this.#peers = parts.peers ?? REAL_PEERS;
    this.#power =
      plan.power && new PowerSwitch(plan.power, this.#peers.turnerOf(plan.power.outlet), parts.clock);
    const onOverdue: LineCare['onOverdue'] = ({ name: line }, maxActiveMs) => {
      const about = `${line} was active for ${formatDuration(maxActiveMs)}, its longest time`;
      parts.say(`${plan.name}: ${about}; it goes to its safe value`);
      parts.onEvent({ event: 'overdue', atMs: Date.now(), target: plan.name, line, maxActiveMs });
      this.#endOfRun.abort(
        new JigError(
          'active-too-long',
          `${plan.name}: ${placeIn(this.#current)}${about}; shorten the sequence, or set another maxActive`,
        ),
      );
    };
    this.#keeper = new LineKeeper(
      plan,
      { ...parts, onOverdue },
      {
        onGone: (reason) => {
          parts.say(`${plan.name}: ${reason.message}; waiting for it to return`);
          parts.onEvent({
            event: 'unavailable',
            atMs: Date.now(),
            target: plan.name,
            reason: reason.message,
          });
        },
        onBack: () => {
          parts.say(`${plan.name}: the chip is back, its lines are safe`);
          parts.onEvent({ event: 'available', atMs: Date.now(), target: plan.name });
        },
      },
    );
  }

  /** Takes the lines. @throws {RigError} blame `unavailable`, `busy`, `config` */
  async start(): Promise<void> {
    await this.#keeper.take();
  }

  /** Resolves once its chips have said something, be it that they have gone. */
  async probe(): Promise<void> {
    await this.#keeper.held?.probe();
  }

  /** Its power to the safe value, if it has one. @throws {JigError} when that cannot be had, or the jig stops before */
  async makePowerSafe(): Promise<void> {
    await this.#turns.take(this.#stop.signal);
    try {
      await this.#power?.makeSafe(this.#stop.signal);
    } catch (error) {
      throw failureOf(error, this.plan.name);
    } finally {
      this.#turns.pass();
    }
  }

  /** The same as {@link status}, with what inputs carry where their chip says so at once. */
  async look(): Promise<TargetStatus> {
    const { held } = this.#keeper;
    if (!held || this.plan.lines.every(({ output }) => output)) return this.status();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), LONGEST_LOOK_MS);
    });
    const inputs = await Promise.race([held.readInputs(), late]);
    clearTimeout(timer);
    return this.status(inputs);
  }

  /** What sequences have set, and the end takes back: which lines it lets go of, and where the power goes. */
  get unsafe(): { readonly lines: readonly string[]; readonly power: PowerValue | undefined } {
    const state = this.#power?.state;
    const safe = this.plan.power?.safe;
    return {
      lines: this.#keeper.held?.unsafe ?? [],
      power: state === undefined || safe === 'keep' || safe === state ? undefined : safe,
    };
  }

  /** What is known without asking anybody; `inputs` is what those carry. */
  status(inputs?: ReadonlyMap<string, LineValue>): TargetStatus {
    const { unavailable, held } = this.#keeper;
    const knownOf = (name: string, isOutput: boolean): OutputValue | undefined =>
      isOutput ? held?.line(name).value : unavailable ? undefined : inputs?.get(name);
    return {
      name: this.plan.name,
      state: this.#current ? 'running' : unavailable ? 'unavailable' : 'idle',
      ...(unavailable ? { reason: unavailable.message } : {}),
      ...(this.#current ? { sequence: this.#current.sequence } : {}),
      queued: this.#turns.queued,
      sequences: [...this.plan.sequences.keys()],
      lines: this.plan.lines.map(({ name, output, wire }) => {
        const value = knownOf(name, output !== undefined);
        return {
          name,
          direction: output ? 'out' : 'in',
          ...(wire === undefined ? {} : { wire }),
          ...(value === undefined ? {} : { value: SHOWN[value] }),
        };
      }),
      ...(this.#power ? { power: this.#power.state ?? 'unknown' } : {}),
      ...(this.#last ? { last: this.#last } : {}),
    };
  }

  /** Runs a sequence to its end. @throws {JigError} why it was not run, or did not get to its end */
  async run(request: RunRequest): Promise<RunReport> {
    const { name } = this.plan;
    const sequence = this.plan.sequences.get(request.sequence);
    if (!sequence) {
      const known = [...this.plan.sequences.keys()].join(', ') || '(it has none)';
      throw new JigError(
        'unknown-sequence',
        `${name}: expected one of its sequences, ${known}, got ${JSON.stringify(request.sequence)}`,
      );
    }
    this.#admit(request.fence);
    const abort = this.#abort.signal;
    await this.#turn(request, abort);
    try {
      this.#stop.signal.throwIfAborted();
      this.#admit(request.fence); // another lease may have begun while this one waited
      return await this.#perform(sequence, request, abort);
    } finally {
      this.#current = undefined;
      this.#turns.pass();
    }
  }

  /** Ends the run and drops who waits; resolves once the lines are safe. @throws {JigError} when they cannot be */
  async abort(fence: number | undefined): Promise<void> {
    this.#admit(fence);
    const aborted = this.#abort;
    this.#abort = new AbortController();
    aborted.abort(new JigError('aborted', `${this.plan.name}: the sequence was aborted`));
    using end = new LinkedSignal([this.#stop.signal]);
    await this.#turns.take(end.signal);
    try {
      const { held } = this.#keeper;
      const unsafe = held?.unsafe ?? [];
      const powerBefore = this.#power?.state;
      const outcomes = await Promise.allSettled([
        this.#lines().then((lines) => lines.makeSafe()),
        this.#power?.leaveSafe(),
      ]);
      const still = held?.unsafe ?? [];
      this.#tellSafe(
        unsafe.filter((name) => !still.includes(name)),
        powerBefore,
      );
      for (const each of outcomes)
        if (each.status === 'rejected') throw failureOf(each.reason, this.plan.name);
    } finally {
      this.#turns.pass();
    }
  }

  /** Ends everything, makes the lines safe and lets go of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(new JigError('stopping', `${this.plan.name}: the jig stops`));
    // The run ends by itself now, through its safe values; whoever waits has left.
    await this.#turns.take(new AbortController().signal);
    await this.#makeSafe(this.#keeper.held);
    await this.#keeper[Symbol.asyncDispose]();
  }

  /** @throws {JigError} `fenced` for a number that another has outranked */
  #admit(fence: number | undefined): void {
    const { name, requireFence } = this.plan;
    if (fence === undefined) {
      if (requireFence)
        throw new JigError(
          'fence-required',
          `${name}: expected a Sai-Fence header, got none; run it under sai-device, whose lease has a fence`,
        );
      return;
    }
    if (fence < this.#highestFence) {
      throw new JigError(
        'fenced',
        `${name}: expected a fence of at least ${this.#highestFence}, got ${fence}; your lease is over, somebody else has the board`,
      );
    }
    this.#highestFence = fence;
  }

  /** What nobody would be told otherwise: the sequence that left it so has ended long ago. */
  #tellSafe(lines: readonly string[], powerBefore: PowerValue | undefined): void {
    const power = this.#power?.state;
    const isSwitched = power !== undefined && power !== powerBefore;
    if (lines.length === 0 && !isSwitched) return;
    this.#parts.onEvent({
      event: 'safe',
      atMs: Date.now(),
      target: this.plan.name,
      lines: [...lines],
      ...(isSwitched ? { power } : {}),
    });
  }

  async #turn({ waitMs, gone, sequence }: RunRequest, abort: AbortSignal): Promise<void> {
    const { name } = this.plan;
    this.#stop.signal.throwIfAborted();
    if (this.#turns.tryTake()) return;
    const running = this.#current ? `runs ${this.#current.sequence}` : 'is being made safe';
    if (waitMs === 0) {
      throw new JigError('busy', `${name}: busy: it ${running}; try later, or wait with ?wait=5s`);
    }
    if (this.#turns.queued >= MAX_QUEUED) {
      throw new JigError('busy', `${name}: busy: ${MAX_QUEUED} requests wait already`);
    }
    const timeUp = new AbortController();
    const timer = setTimeout(
      () =>
        timeUp.abort(
          new JigError(
            'busy',
            `${name}: busy: it was not the turn of ${sequence} within ${formatDuration(waitMs)}`,
          ),
        ),
      waitMs,
    );
    try {
      using ends = new LinkedSignal([timeUp.signal, gone, abort, this.#stop.signal]);
      await this.#turns.take(ends.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async #perform(sequence: SequencePlan, request: RunRequest, abort: AbortSignal): Promise<RunReport> {
    const lines = await this.#lines();
    const run = ++this.#runs;
    const { name: target } = this.plan;
    const about = { target, run, sequence: sequence.name };
    const trace: TraceEntry[] = [];
    const startedAtMs = Date.now();
    const startMs = this.#parts.clock.nowMs();
    const current: Running = { sequence: sequence.name };
    this.#current = current;
    this.#parts.onEvent({ event: 'started', atMs: startedAtMs, ...about });
    const gone = request.onGone === 'abort' ? [request.gone] : [];
    this.#endOfRun = new AbortController();
    using ends = new LinkedSignal([abort, this.#stop.signal, this.#endOfRun.signal, lines.gone, ...gone]);
    let failure: JigError | undefined;
    try {
      const board: StepBoard = {
        line: (name) => lines.line(name),
        drive: (values) => lines.drive(values),
        pulse: (name, value, forMs) => lines.pulse(name, value, forMs),
        turnPower: async (value, signal) => await this.#power?.turn(value, signal),
        callHttp: this.#peers.callHttp,
      };
      const onTrace = (entry: TraceEntry): void => {
        trace.push(entry);
        const { step, text } = entry;
        this.#parts.onEvent({ event: 'step', atMs: Date.now(), ...about, step, text });
      };
      const { clock } = this.#parts;
      const onStep = (step: Step): void => {
        current.step = step;
        this.#parts.onStep?.(step);
      };
      await runSteps(sequence.steps, board, clock, ends.signal, onTrace, onStep);
    } catch (error) {
      await this.#makeSafe(lines);
      failure = failureOf(error, target, current);
    }
    const durationMs = toMicroseconds(this.#parts.clock.nowMs() - startMs);
    const outcome = failure === undefined ? 'done' : failure.code === 'aborted' ? 'aborted' : 'failed';
    const error = failure ? { error: failure.message } : {};
    const report = {
      ...about,
      outcome,
      ...error,
      startedAtMs,
      durationMs,
      latestMs: latestOf(trace),
      trace,
    } as const;
    this.#last = report;
    this.#parts.onEvent({
      event: 'ended',
      atMs: Date.now(),
      ...about,
      outcome,
      ...error,
      durationMs,
      latestMs: report.latestMs,
    });
    if (failure) throw failure;
    return report;
  }

  async #lines(): Promise<TargetLines> {
    try {
      return await this.#keeper.take();
    } catch (error) {
      throw failureOf(error, this.plan.name);
    }
  }

  /** What cannot be made safe any more has been let go of by the kernel, or is lost; either way it is told. */
  async #makeSafe(lines: TargetLines | undefined): Promise<void> {
    const { name } = this.plan;
    try {
      if (lines && !lines.gone.aborted) await lines.makeSafe();
    } catch (error) {
      this.#parts.say(`${name}: cannot make its lines safe: ${reasonOf(error)}`);
    }
    try {
      await this.#power?.leaveSafe();
    } catch (error) {
      this.#parts.say(`${name}: cannot make its power safe: ${reasonOf(error)}`);
    }
  }
}

const SHOWN: Readonly<Record<OutputValue, 0 | 1 | 'released'>> = {
  active: 1,
  inactive: 0,
  released: 'released',
};

function latestOf(trace: readonly TraceEntry[]): number {
  const delays = trace.map(({ plannedMs, actualMs }) => actualMs - plannedMs);
  return toMicroseconds(Math.max(0, ...delays));
}
