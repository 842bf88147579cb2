/** `sai-jig --simulate`: a sequence played by the engine itself, on chips in memory and in time that takes none. */

import type { TraceEntry } from '../wire/jig.ts';
import { simulatedOpener } from './chips.ts';
import { toMicroseconds } from './clock.ts';
import { EventClock } from './event-clock.ts';
import type { Level } from './gpio.ts';
import { Jig } from './jig.ts';
import { JigError } from './jig-error.ts';
import { driveOf, valueOfLevel } from './line.ts';
import { SIMULATED_PEERS } from './peers.ts';
import { chipText, type LinePlan, type LineValue, type TargetPlan } from './plan.ts';
import type { SequencePlan, Step } from './sequence.ts';
import type { SimulatedChip } from './simulated-chip.ts';
import type { OpenChip } from './target-lines.ts';

/** What a line carries, as a meter would show it. */
export interface Wire {
  readonly level: Level;
  /** False: let go of; the level is what the board makes of it. */
  readonly isDriven: boolean;
}

/** One moment at which something happens. */
export interface SimulatedMoment {
  readonly atMs: number;
  /** Lines that change then. */
  readonly changes: ReadonlyMap<string, Wire>;
  /** What was done; undefined for what the jig does by itself, as after a failure. */
  readonly done: TraceEntry | undefined;
}

export interface Simulation {
  readonly start: ReadonlyMap<string, Wire>;
  readonly moments: readonly SimulatedMoment[];
  readonly durationMs: number;
  /** Why it did not get to its end. */
  readonly failure: JigError | undefined;
}

/** Longer than any `minOff` and `minInterval`, so that the first switching waits for neither. */
const LONG_AGO_MS = 2 ** 32;

/**
 * Inputs do at once what is waited for, but those in `inputs`, which have that value all the time. Plugs and servers answer
 * at once.
 */
export async function simulate(
  target: TargetPlan,
  sequence: SequencePlan,
  inputs: ReadonlyMap<string, LineValue>,
  stop: AbortSignal,
): Promise<Simulation> {
  const board = new SimulatedBoard(target, inputs);
  const { clock } = board;
  await using jig = await Jig.start([{ ...target, requireFence: false }], {
    openChip: board.openChip,
    clock,
    onEvent: () => {},
    say: () => {},
    peers: SIMULATED_PEERS,
    onStep: (step) => board.begin(step),
  });
  clock.skip(LONG_AGO_MS);
  const playing = jig.targets.get(target.name);
  const start = board.record();
  let failure: JigError | undefined;
  try {
    await playing?.run({
      sequence: sequence.name,
      waitMs: 0,
      fence: undefined,
      gone: stop,
      onGone: 'abort',
    });
  } catch (error) {
    stop.throwIfAborted();
    if (!(error instanceof JigError)) throw error;
    failure = error;
  }
  const durationMs = board.elapsedMs;
  const trace = playing?.status().last?.trace ?? [];
  return { start, moments: board.momentsWith(trace), durationMs, failure };
}

/** Lines that change together. */
interface Change {
  readonly atMs: number;
  /** Index of the step that was begun last. */
  readonly step: number;
  readonly wires: Map<string, Wire>;
}

/** The other end of the wires, and who writes down what they carry. */
class SimulatedBoard {
  readonly clock = new EventClock();
  readonly openChip: OpenChip;
  readonly #inputs: ReadonlyMap<string, LineValue>;
  /** Each line from the board's side. */
  readonly #drivers = new Map<string, (value: LineValue) => void>();
  readonly #values = new Map<string, () => LineValue>();
  readonly #wires = new Map<string, Wire>();
  readonly #begun: Step[] = [];
  #changes: Change[] = [];
  #startMs = 0;

  constructor(target: TargetPlan, inputs: ReadonlyMap<string, LineValue>) {
    this.#inputs = inputs;
    this.openChip = simulatedOpener([target], (chip, made, names) => {
      for (const line of target.lines) {
        if (chipText(line.chip) !== chipText(chip)) continue;
        this.#connect(line, made, typeof line.at === 'number' ? line.at : names.indexOf(line.at));
      }
    });
  }

  get elapsedMs(): number {
    return toMicroseconds(this.clock.nowMs() - this.#startMs);
  }

  /** What is up to now is what comes back, and no change. */
  record(): ReadonlyMap<string, Wire> {
    this.#startMs = this.clock.nowMs();
    this.#changes = [];
    return new Map(this.#wires);
  }

  /** A step that waits for the board gets what it waits for. */
  begin(step: Step): void {
    this.#begun.push(step);
    if (step.kind !== 'wait' || this.#inputs.has(step.line)) return;
    const drive = this.#drivers.get(step.line);
    const now = this.#values.get(step.line)?.();
    if (!drive || !now) return;
    const { until } = step;
    const wanted = 'value' in until ? until.value : VALUE_AFTER[until.edge](now);
    if ('edge' in until && wanted === now) drive(opposite(now));
    drive(wanted);
  }

  /** In their order, with what the run says of its steps. A pause is no moment of its own. */
  momentsWith(trace: readonly TraceEntry[]): SimulatedMoment[] {
    const entries = [...trace];
    return this.#begun.flatMap((step, index) => {
      const own = entries.splice(0, step.kind === 'pulse' ? 2 : 1);
      const changes = this.#changes
        .filter((change) => change.step === index)
        .map(({ atMs, wires }) => ({ atMs, wires: new Map(wires) }));
      const moments: SimulatedMoment[] = [];
      const take = (count: number): void => {
        for (const { atMs, wires } of changes.splice(0, count)) {
          moments.push({ atMs, changes: wires, done: undefined });
        }
      };
      for (const done of step.kind === 'pause' ? [] : own) {
        const atMs = done.actualMs;
        // The last of what the board does ends the wait.
        take(step.kind === 'wait' ? changes.length - 1 : 0);
        const [next] = changes;
        const wires = next?.atMs === atMs ? changes.shift()?.wires : undefined;
        moments.push({ atMs, changes: wires ?? new Map(), done });
      }
      take(changes.length);
      return moments;
    });
  }

  #connect(line: LinePlan, chip: SimulatedChip, offset: number): void {
    const { name, activeLow } = line;
    const drive = (value: LineValue): void => chip.driveFromBoard(offset, driveOf(value, activeLow));
    this.#drivers.set(name, drive);
    this.#values.set(name, () => valueOfLevel(chip.levelAt(offset), activeLow));
    chip.onWire((wire) => {
      if (wire.offset === offset) this.#note(name, wire);
    });
    const level = restingLevel(line, this.#inputs.get(name));
    this.#wires.set(name, { level, isDriven: false });
    chip.driveFromBoard(offset, level);
  }

  #note(name: string, { level, isDriven }: Wire): void {
    const wire = { level, isDriven };
    this.#wires.set(name, wire);
    const atMs = this.elapsedMs;
    const step = this.#begun.length - 1;
    const last = this.#changes.at(-1);
    if (last?.step === step && last.atMs === atMs && !last.wires.has(name)) last.wires.set(name, wire);
    else this.#changes.push({ atMs, step, wires: new Map([[name, wire]]) });
  }
}

/** What the board makes of a line that nobody drives: as `--check` says that it should be wired. */
function restingLevel({ output, activeLow }: LinePlan, given: LineValue | undefined): Level {
  if (output?.mode === 'open-drain') return 1;
  if (output?.mode === 'open-source') return 0;
  const value = output && output.safe !== 'released' ? output.safe : (given ?? 'inactive');
  return driveOf(value, activeLow) === 1 ? 1 : 0;
}

const VALUE_AFTER = {
  rising: () => 'active',
  falling: () => 'inactive',
  both: (now) => opposite(now),
} as const satisfies Record<string, (now: LineValue) => LineValue>;

function opposite(value: LineValue): LineValue {
  return value === 'active' ? 'inactive' : 'active';
}
