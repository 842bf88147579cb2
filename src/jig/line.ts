import type { Drive, EdgeEvent, Level, LineRequest, LineSettings, PulseTimes } from './gpio.ts';
import type { LinePlan, LineValue, OutputValue } from './plan.ts';

/** One held line in logical values: the one place that knows `activeLow`. */
export class Line {
  readonly plan: LinePlan;
  readonly #offset: number;
  readonly #request: LineRequest;
  readonly #listeners = new Set<(value: LineValue) => void>();
  #value: OutputValue;

  constructor(plan: LinePlan, offset: number, request: LineRequest) {
    this.plan = plan;
    this.#offset = offset;
    this.#request = request;
    this.#value = plan.output?.safe ?? 'released';
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
    await this.#request.set(new Map([[this.#offset, driveOf(value, this.plan.activeLow)]]));
    this.#value = value;
  }

  /**
   * Drives `value` for `forMs`, then what it drove before, as {@link LineRequest.pulse}; undefined, with nothing done,
   * where the chip cannot.
   *
   * @throws {RigError} when the chip has gone
   */
  async pulse(value: LineValue, forMs: number): Promise<PulseTimes | undefined> {
    if (!this.#request.pulse) return undefined;
    const before = this.#value;
    const drives = (each: OutputValue): ReadonlyMap<number, Drive> =>
      new Map([[this.#offset, driveOf(each, this.plan.activeLow)]]);
    this.#value = value;
    const times = await this.#request.pulse(drives(value), drives(before), forMs);
    this.#value = before;
    return times;
  }

  /** What the wire carries now. @throws {RigError} when the chip has gone */
  async read(): Promise<LineValue> {
    return valueOfLevel(await this.#request.get(this.#offset), this.plan.activeLow);
  }

  /** Calls `listener` at each change of an input, with what it is now. Returns what ends that. */
  onChange(listener: (value: LineValue) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell({ offset, level }: EdgeEvent): void {
    if (offset !== this.#offset) return;
    const value = valueOfLevel(level, this.plan.activeLow);
    for (const listener of [...this.#listeners]) listener(value);
  }
}

function driveOf(value: OutputValue, activeLow: boolean): Drive {
  if (value === 'released') return 'released';
  return (value === 'active') === activeLow ? 0 : 1;
}

function valueOfLevel(level: Level, activeLow: boolean): LineValue {
  return (level === 1) === activeLow ? 'inactive' : 'active';
}
