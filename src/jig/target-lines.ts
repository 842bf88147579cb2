import { RigError, reasonOf } from '../base/errors.ts';
import { ActiveLimit } from './active-limit.ts';
import type { Clock } from './clock.ts';
import type { ChipLine, GpioChip, LineRequest, PulseTimes } from './gpio.ts';
import { InterlockError } from './interlock-error.ts';
import { Line } from './line.ts';
import {
  type ChipId,
  chipText,
  type LinePlan,
  type LineValue,
  type OutputValue,
  type TargetPlan,
} from './plan.ts';

/** Who holds the lines of a target, as `gpioinfo` shows it. */
export function consumerOf(target: string): string {
  return `sai-jig ${target}`;
}

export type OpenChip = (chip: ChipId) => Promise<GpioChip>;

/** What lines are taken with. */
export interface LineCare {
  readonly openChip: OpenChip;
  readonly clock: Clock;
  /** Told at once when a line has been active for too long; it is on its way to its safe value. */
  readonly onOverdue: (plan: LinePlan, maxActiveMs: number) => void;
  /** What people who watch the jig should know. */
  readonly say: (text: string) => void;
}

/** How soon a line that could not be made safe is tried again. */
const RETRY_MS = 1000;

/** All lines of one target, held: outputs at their safe values from the first moment on. Disposing releases them. */
export class TargetLines implements AsyncDisposable {
  /** Aborted, with a `RigError` as reason, when a chip of it goes away. */
  get gone(): AbortSignal {
    this.#gone ??= AbortSignal.any(this.#chips.map((chip) => chip.gone));
    return this.#gone;
  }

  #gone: AbortSignal | undefined;
  readonly #plan: TargetPlan;
  readonly #care: LineCare;
  readonly #lines = new Map<string, Line>();
  readonly #chips: GpioChip[] = [];
  readonly #end = new AbortController();

  /**
   * One request a chip.
   *
   * @throws {RigError} blame `unavailable` for a chip that is not there, `busy` for a line that somebody holds,
   * `config` for a line that the chip has not
   */
  static async take(plan: TargetPlan, care: LineCare): Promise<TargetLines> {
    const lines = new TargetLines(plan, care);
    try {
      for (const plans of byChip(plan.lines)) await lines.#takeFrom(plans);
      return lines;
    } catch (error) {
      await lines[Symbol.asyncDispose]().catch(() => {}); // the first failure is the one to tell
      throw error;
    }
  }

  private constructor(plan: TargetPlan, care: LineCare) {
    this.#plan = plan;
    this.#care = care;
  }

  line(name: string): Line {
    const line = this.#lines.get(name);
    if (!line) throw new RigError('config', `expected a line of this target, got ${JSON.stringify(name)}`);
    return line;
  }

  /**
   * Several outputs at once. A line that has to be inactive before another may be active is so first.
   *
   * @throws {InterlockError} with no line changed
   * @throws what a line throws
   */
  async drive(values: ReadonlyMap<string, OutputValue>): Promise<void> {
    this.#refuseInterlocked(values);
    if (values.size === 1) {
      for (const [name, value] of values) await this.line(name).drive(value);
      return;
    }
    const all = [...values].map(([name, value]) => [this.line(name), value] as const);
    const isInterlocked = this.#plan.interlocks.some(
      (group) => group.filter((name) => values.has(name)).length > 1,
    );
    const steps = isInterlocked
      ? [all.filter(([, value]) => value !== 'active'), all.filter(([, value]) => value === 'active')]
      : [all];
    for (const step of steps) {
      this.gone.throwIfAborted(); // the others are being made safe, and let go of
      if (step.length > 0) await Line.driveAll(new Map(step));
    }
  }

  /**
   * As {@link Line.pulse}.
   *
   * @throws {InterlockError} with no line changed
   */
  async pulse(name: string, value: LineValue, forMs: number): Promise<PulseTimes | undefined> {
    this.#refuseInterlocked(new Map([[name, value]]));
    return await this.line(name).pulse(value, forMs);
  }

  /** Names of the outputs that were last told something else than their safe value. */
  get unsafe(): string[] {
    return [...this.#lines.values()]
      .filter(({ plan, value }) => plan.output && value !== plan.output.safe)
      .map(({ plan }) => plan.name);
  }

  /** What inputs carry now; of a chip that does not say so, none. */
  async readInputs(): Promise<Map<string, LineValue>> {
    const inputs = [...this.#lines.values()].filter(({ plan }) => !plan.output);
    const read = await Promise.allSettled(
      inputs.map(async (line) => [line.plan.name, await line.read()] as const),
    );
    return new Map(read.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
  }

  /** Every output to its safe value; tried for each, also where another fails. @throws the first failure */
  async makeSafe(): Promise<void> {
    const outputs = [...this.#lines.values()].flatMap((line) =>
      line.plan.output ? [{ line, safe: line.plan.output.safe }] : [],
    );
    const failures: unknown[] = [];
    const driveAll = async (chosen: typeof outputs): Promise<void> => {
      const outcomes = await Promise.allSettled(chosen.map(({ line, safe }) => line.drive(safe)));
      failures.push(...outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : [])));
    };
    // A line that is safe active waits for those that it must not be active with.
    await driveAll(outputs.filter(({ safe }) => safe !== 'active'));
    await driveAll(
      outputs.filter(({ line, safe }) => safe === 'active' && !this.#rivalOf(line.plan.name, new Map())),
    );
    if (failures.length > 0) throw failures[0];
  }

  /** Resolves once each chip has answered, be it with a failure. */
  async probe(): Promise<void> {
    const asked = byChip([...this.#lines.values()].map(({ plan }) => plan)).flatMap(([first]) =>
      first ? [this.line(first.name).read()] : [],
    );
    await Promise.allSettled(asked);
  }

  /** Of every chip, also where another fails. @throws the first failure */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    for (const line of this.#lines.values()) line.forget();
    const outcomes = await Promise.allSettled(this.#chips.map((chip) => chip[Symbol.asyncDispose]()));
    for (const each of outcomes) if (each.status === 'rejected') throw each.reason;
  }

  async #takeFrom(plans: readonly LinePlan[]): Promise<void> {
    const [first] = plans;
    if (!first) return;
    const chip = await this.#care.openChip(first.chip);
    this.#chips.push(chip);
    const wanted = await wantedOf(chip, plans, this.#plan.name);
    const settings = new Map([...wanted].map(([offset, plan]) => [offset, Line.settings(plan)]));
    const request: LineRequest = await chip.request(consumerOf(this.#plan.name), settings);
    request.onLoss?.((count) =>
      this.#care.say(
        `${this.#plan.name}: ${chip.name}: ${count} changes of inputs were lost: the jig was held up for longer than the kernel keeps them; what the lines carry now is known`,
      ),
    );
    for (const [offset, plan] of wanted) {
      const maxMs = plan.output?.maxActiveMs;
      const limit =
        maxMs === undefined
          ? undefined
          : new ActiveLimit(maxMs, this.#care.clock, () => void this.#onOverdue(line, maxMs));
      const line = new Line(plan, offset, request, limit);
      this.#lines.set(plan.name, line);
    }
  }

  /** Until it is safe, or nobody's any more. */
  async #onOverdue(line: Line, maxActiveMs: number): Promise<void> {
    if (this.#end.signal.aborted) return; // what was asked of it before has just been acknowledged
    const { clock, onOverdue, say } = this.#care;
    const { name, output } = line.plan;
    let driven = line.drive(output?.safe ?? 'released');
    onOverdue(line.plan, maxActiveMs);
    for (;;) {
      try {
        await driven;
        return;
      } catch (error) {
        if (this.#end.signal.aborted || this.gone.aborted || line.value !== 'active') return;
        say(`${this.#plan.name}: ${name} cannot be made safe: ${reasonOf(error)}; trying again`);
      }
      try {
        await clock.sleepUntil(clock.nowMs() + RETRY_MS, this.#end.signal);
      } catch {
        return; // let go of
      }
      if (line.value !== 'active') return; // somebody else has
      driven = line.drive(output?.safe ?? 'released');
    }
  }

  #refuseInterlocked(values: ReadonlyMap<string, OutputValue>): void {
    if (this.#plan.interlocks.length === 0) return;
    for (const [name, value] of values) {
      const rival = value === 'active' ? this.#rivalOf(name, values) : undefined;
      if (rival === undefined) continue;
      throw new InterlockError(interlockText(name, rival, values.get(rival) === 'active'));
    }
  }

  /** What is active, or would be with `values`, and must not be together with `name`. */
  #rivalOf(name: string, values: ReadonlyMap<string, OutputValue>): string | undefined {
    const rivals = this.#plan.interlocks.filter((group) => group.includes(name)).flat();
    return rivals.find(
      (other) => other !== name && (values.get(other) ?? this.line(other).value) === 'active',
    );
  }
}

/** How a step is refused that makes `name` active, with `rival` or beside it. */
export function interlockText(name: string, rival: string, areSetTogether: boolean): string {
  const cure = areSetTogether ? 'set only one of them' : `set ${rival} to 0 first, or in the same step`;
  return `expected at most one of ${name} and ${rival} active, got both; ${cure}`;
}

function byChip(lines: readonly LinePlan[]): LinePlan[][] {
  const groups = new Map<string, LinePlan[]>();
  for (const line of lines) {
    const key = chipText(line.chip);
    const group = groups.get(key);
    if (group) group.push(line);
    else groups.set(key, [line]);
  }
  return [...groups.values()];
}

async function wantedOf(
  chip: GpioChip,
  plans: readonly LinePlan[],
  target: string,
): Promise<Map<number, LinePlan>> {
  const there = await chip.lines();
  const wanted = new Map<number, LinePlan>();
  for (const plan of plans) {
    const found = offsetOf(plan, chip, there, target);
    if (wanted.has(found)) {
      throw new RigError(
        'config',
        `${target}/${plan.name}: expected each line once, got ${chip.name}, line ${found} again`,
      );
    }
    wanted.set(found, plan);
  }
  return wanted;
}

/** @throws {RigError} blame `config` for a name that no line there has, or several */
export function offsetOf(
  { name, at }: LinePlan,
  chip: Pick<GpioChip, 'name'>,
  there: readonly ChipLine[],
  target: string,
): number {
  if (typeof at === 'number') return at;
  const [found, ...more] = there.filter((line) => line.name === at);
  if (!found) {
    const names = there.map((line) => line.name).filter((each) => each !== '');
    throw new RigError(
      'config',
      `${target}/${name}: expected a line of ${chip.name}, one of ${names.join(', ')}, got ${JSON.stringify(at)}`,
    );
  }
  if (more.length > 0) {
    const offsets = [found, ...more].map(({ offset }) => offset).join(' and ');
    throw new RigError(
      'config',
      `${target}/${name}: expected the name of one line of ${chip.name}, lines ${offsets} have the name ${JSON.stringify(at)}; name one by its offset`,
    );
  }
  return found.offset;
}
