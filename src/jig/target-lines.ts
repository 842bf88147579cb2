import { RigError } from '../base/errors.ts';
import type { ChipLine, GpioChip, LineRequest, LineSettings, PulseTimes } from './gpio.ts';
import { Line } from './line.ts';
import { type ChipId, chipText, type LinePlan, type LineValue, type TargetPlan } from './plan.ts';

/** Who holds the lines, as `gpioinfo` shows it. */
const CONSUMER = 'sai-jig';

export type OpenChip = (chip: ChipId) => Promise<GpioChip>;

/** All lines of one target, held: outputs at their safe values from the first moment on. Disposing releases them. */
export class TargetLines implements AsyncDisposable {
  /** Aborted, with a `RigError` as reason, when a chip of it goes away. */
  readonly gone: AbortSignal;
  readonly #lines: ReadonlyMap<string, Line>;
  readonly #chips: readonly GpioChip[];

  /**
   * One request a chip.
   *
   * @throws {RigError} blame `unavailable` for a chip that is not there, `busy` for a line that somebody holds,
   * `config` for a line that the chip has not
   */
  static async take(plan: TargetPlan, openChip: OpenChip): Promise<TargetLines> {
    const chips: GpioChip[] = [];
    try {
      const lines: Line[] = [];
      for (const plans of byChip(plan.lines)) {
        const [first] = plans;
        if (!first) continue;
        const chip = await openChip(first.chip);
        chips.push(chip);
        lines.push(...(await requestLines(chip, plans, plan.name)));
      }
      return new TargetLines(lines, chips);
    } catch (error) {
      await disposeAll(chips);
      throw error;
    }
  }

  private constructor(lines: readonly Line[], chips: readonly GpioChip[]) {
    this.#lines = new Map(lines.map((line) => [line.plan.name, line]));
    this.#chips = chips;
    this.gone = AbortSignal.any(chips.map((chip) => chip.gone));
  }

  line(name: string): Line {
    const line = this.#lines.get(name);
    if (!line) throw new RigError('config', `expected a line of this target, got ${JSON.stringify(name)}`);
    return line;
  }

  /** @see Line.pulse */
  async pulse(name: string, value: LineValue, forMs: number): Promise<PulseTimes | undefined> {
    return await this.line(name).pulse(value, forMs);
  }

  /** Every output to its safe value; tried for each, also where another fails. @throws the first failure */
  async makeSafe(): Promise<void> {
    const outcomes = await Promise.allSettled(
      [...this.#lines.values()].map(async (line) => {
        if (line.plan.output) await line.drive(line.plan.output.safe);
      }),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll(this.#chips);
  }
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

async function requestLines(chip: GpioChip, plans: readonly LinePlan[], target: string): Promise<Line[]> {
  const there = await chip.lines();
  const wanted = new Map<number, LineSettings>();
  const offsets = plans.map((plan) => {
    const found = offsetOf(plan, chip, there, target);
    if (wanted.has(found)) {
      throw new RigError(
        'config',
        `${target}/${plan.name}: expected each line once, got ${chip.name}, line ${found} again`,
      );
    }
    wanted.set(found, Line.settings(plan));
    return found;
  });
  const request: LineRequest = await chip.request(`${CONSUMER} ${target}`, wanted);
  return plans.map((plan, index) => new Line(plan, offsets[index] ?? 0, request));
}

function offsetOf(
  { name, at }: LinePlan,
  chip: GpioChip,
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

async function disposeAll(chips: readonly GpioChip[]): Promise<void> {
  for (const chip of chips) await chip[Symbol.asyncDispose]();
}
