import type { ActiveLimit } from './active-limit.ts';
import type { Drive, EdgeEvent, Level, LineRequest, LineSettings, PulseTimes } from './gpio.ts';
import type { LinePlan, LineValue, OutputValue } from './plan.ts';

/** One held line in logical values: the one place that knows `activeLow`. */
export class Line {
  readonly plan: LinePlan;
  readonly #offset: number;
  readonly #request: LineRequest;
  readonly #listeners = new Set<(value: LineValue) => void>();
  readonly #limit: ActiveLimit | undefined;
  #value: OutputValue;
  /** What it was last asked to do, which the chip may not have done yet. */
  #asked: OutputValue;

  /** `limit` is told when the line becomes active, and when it ends to be. */
  constructor(plan: LinePlan, offset: number, request: LineRequest, limit?: ActiveLimit) {
    this.plan = plan;
    this.#offset = offset;
    this.#request = request;
    this.#limit = limit;
    this.#value = plan.output?.safe ?? 'released';
    this.#asked = this.#value;
    if (!plan.output) request.onEdge((edge) => this.#tell(edge));
  }

  /** How a line is requested, so that its first level is its safe one. */
  static settings({ activeLow, bias, debounceMs, output }: LinePlan): LineSettings {
    if (!output) return { direction: 'input', bias, ...(debounceMs === undefined ? {} : { debounceMs }) };
    return { direction: 'output', mode: output.mode, bias, initial: driveOf(output.safe, activeLow) };
  }

  /** What an output was last told to do. */
  get value(): OutputValue {
    return this.#value;
  }

  /** Resolves once it has happened. @throws {RigError} when the chip has gone */
  async drive(value: OutputValue): Promise<void> {
    this.#isAsked(value);
    await this.#request.set(new Map([[this.#offset, driveOf(value, this.plan.activeLow)]]));
    this.#isDone(value);
  }

  /** The same for several: those of one chip in one step, where it can. */
  static async driveAll(values: ReadonlyMap<Line, OutputValue>): Promise<void> {
    const drives = new Map<LineRequest, Map<number, Drive>>();
    for (const [line, value] of values) {
      const own = drives.get(line.#request) ?? new Map<number, Drive>();
      drives.set(line.#request, own.set(line.#offset, driveOf(value, line.plan.activeLow)));
      line.#isAsked(value);
    }
    await Promise.all([...drives].map(([request, own]) => request.set(own)));
    for (const [line, value] of values) line.#isDone(value);
  }

  /** Nobody holds it any more. */
  forget(): void {
    this.#limit?.end();
  }

  /**
   * Drives `value` for `forMs`, then what it drove before, as {@link LineRequest.pulse}; undefined, with nothing done,
   * where the chip cannot. Shorter than the line may be active.
   *
   * @throws {RigError} when the chip has gone
   */
  async pulse(value: LineValue, forMs: number): Promise<PulseTimes | undefined> {
    if (!this.#request.pulse) return undefined;
    const before = this.#asked;
    const drives = (each: OutputValue): ReadonlyMap<number, Drive> =>
      new Map([[this.#offset, driveOf(each, this.plan.activeLow)]]);
    if (value === 'active') this.#value = value; // from here on it may be
    try {
      // Not counted: it is shorter than the line may be active, and ends by the chip's own clock, not by one that is coarser
      // and begins before it is its turn.
      const times = await this.#request.pulse(drives(value), drives(before), forMs);
      this.#becomes(value); // it was meanwhile: what it was before counts anew
      this.#becomes(before);
      return times;
    } catch (error) {
      if (this.#value === 'active') this.#limit?.begin(); // until it is made safe: nothing else ends it
      throw error;
    }
  }

  /** What the wire carries now. @throws {RigError} when the chip has gone */
  async read(): Promise<LineValue> {
    return valueOfLevel(await this.#request.get(this.#offset), this.plan.activeLow);
  }

  /** Tells of every change so far, where the chip can say so at once: what is told later is younger. */
  catchUp(): void {
    this.#request.catchUp?.();
  }

  /** Calls `listener` at each change of an input, with what it is now. Returns what ends that. */
  onChange(listener: (value: LineValue) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #isAsked(value: OutputValue): void {
    this.#asked = value;
    if (value === 'active') this.#becomes(value); // from here on it may be
  }

  #isDone(value: OutputValue): void {
    if (value === 'active') return;
    this.#becomes(value);
    // Somebody else has asked for that meanwhile: it counts anew.
    if (this.#asked === 'active') this.#becomes(this.#asked);
  }

  #becomes(value: OutputValue): void {
    this.#value = value;
    if (value === 'active') this.#limit?.begin();
    else this.#limit?.end();
  }

  #tell({ offset, level }: EdgeEvent): void {
    if (offset !== this.#offset) return;
    const value = valueOfLevel(level, this.plan.activeLow);
    for (const listener of [...this.#listeners]) listener(value);
  }
}

/** What an output has to do to have a value. */
export function driveOf(value: OutputValue, activeLow: boolean): Drive {
  if (value === 'released') return 'released';
  return (value === 'active') === activeLow ? 0 : 1;
}

/** What a level means. */
export function valueOfLevel(level: Level, activeLow: boolean): LineValue {
  return (level === 1) === activeLow ? 'inactive' : 'active';
}
