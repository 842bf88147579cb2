/** What a config comes to: lines with every default filled in, sequences as flat lists of steps. */

import { dirname, resolve } from 'node:path';
import { RigError } from '../base/errors.ts';
import { didYouMean } from '../base/validate.ts';
import type { CommandLine } from './command-chip.ts';
import { type DeclaredChip, durationMs, type Gpio, type JigConfig, type Target } from './config.ts';
import type { Bias, DriveMode } from './gpio.ts';
import { atOnce, type Collect } from './mistakes.ts';
import { type PowerPlan, planPower } from './power-plan.ts';
import { compileSequence, type SequencePlan, StepBudget } from './sequence.ts';

/** Logical value of a line: `activeLow` has been applied. */
export type LineValue = 'inactive' | 'active';

/** What an output is told to do. */
export type OutputValue = LineValue | 'released';

export type ChipId =
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'modem'; readonly name: string; readonly tty: string }
  | {
      readonly kind: 'command';
      readonly name: string;
      readonly lines: readonly CommandLine[];
      readonly withinMs: number;
    };

/** A relay board answers at once, a program behind a network in seconds. */
const DEFAULT_COMMAND_MS = 5000;

export interface LinePlan {
  readonly name: string;
  readonly chip: ChipId;
  /** Offset inside the chip, or the line's name there. */
  readonly at: number | string;
  readonly wire: string | undefined;
  readonly activeLow: boolean;
  readonly bias: Bias;
  /** Of an input. */
  readonly debounceMs: number | undefined;
  /** Undefined for an input. */
  readonly output:
    | {
        readonly mode: DriveMode;
        readonly safe: OutputValue;
        /** Longest time that it may be active; undefined for ever. */
        readonly maxActiveMs: number | undefined;
      }
    | undefined;
}

export interface TargetPlan {
  readonly name: string;
  readonly requireFence: boolean;
  readonly lines: readonly LinePlan[];
  readonly power: PowerPlan | undefined;
  /** Names of outputs of which at most one is ever active. */
  readonly interlocks: readonly (readonly string[])[];
  readonly sequences: ReadonlyMap<string, SequencePlan>;
}

/**
 * The targets of a config that was read from `file`. With a `collect` that keeps mistakes, what they spoil is left out.
 *
 * @throws {RigError} blame `config` with file, path inside it, expected, found
 */
export function planTargets(config: JigConfig, file: string, collect: Collect = atOnce): TargetPlan[] {
  collect(() =>
    requireOwnNames(
      config.targets.map(({ name }) => name),
      `${file}: targets`,
    ),
  );
  const source = { file, chips: config.chips ?? {}, collect, budget: new StepBudget(file) };
  const targets = config.targets.map((target, index) =>
    planTarget(target, `${file}: targets.${index}`, source),
  );
  collect(() => requireOwnWires(targets, file));
  return targets;
}

/** As people and messages name a chip. */
export function chipText(chip: ChipId): string {
  if (chip.kind === 'number') return `chip ${chip.number}`;
  return chip.kind === 'path' ? chip.path : `chip ${chip.name}`;
}

/** What the lines of a config have in common. */
interface Source {
  readonly file: string;
  readonly chips: Readonly<Record<string, DeclaredChip>>;
  readonly collect: Collect;
  readonly budget: StepBudget;
}

function planTarget(target: Target, where: string, source: Source): TargetPlan {
  const { collect, budget } = source;
  for (const list of ['gpios', 'sequences'] as const) {
    collect(() =>
      requireOwnNames(
        target[list].map(({ name }) => name),
        `${where}.${list}`,
      ),
    );
  }
  const lines = target.gpios.flatMap(
    (gpio, index) => collect(() => planLine(gpio, `${where}.gpios.${index}`, source)) ?? [],
  );
  // What is said of a line that is wrong itself would be wrong, too.
  const isWhole = lines.length === target.gpios.length;
  const interlocks = isWhole ? (target.interlocks ?? []) : [];
  const sequences = isWhole ? target.sequences : [];
  const power = target.power && planPower(target.power);
  const context = { lines, power, sequences: target.sequences, budget, where: `${where}.sequences` };
  return {
    name: target.name,
    requireFence: target.requireFence ?? false,
    lines,
    power,
    interlocks: collect(() => planInterlocks(interlocks, lines, `${where}.interlocks`)) ?? [],
    sequences: new Map(
      sequences.flatMap(({ name }) => {
        const sequence = collect(() => compileSequence(name, context));
        return sequence ? [[name, sequence]] : [];
      }),
    ),
  };
}

function planLine(gpio: Gpio, where: string, source: Source): LinePlan {
  const isInput = gpio.direction === 'in';
  for (const key of ['safe', 'drive', 'maxActive'] as const) {
    if (isInput && gpio[key] !== undefined)
      throw wrong(`${where}.${key}`, 'expected none for an input', gpio[key]);
  }
  const debounceMs = gpio.debounce === undefined ? undefined : durationMs(gpio.debounce);
  if (debounceMs !== undefined) {
    const expected = isInput ? `at most ${LONGEST_DEBOUNCE_MS} ms` : 'none for an output';
    if (!isInput || debounceMs > LONGEST_DEBOUNCE_MS)
      throw wrong(`${where}.debounce`, `expected ${expected}`, gpio.debounce);
  }
  return {
    name: gpio.name,
    chip: chipOf(gpio, where, source),
    at: lineOf(gpio, where),
    wire: gpio.wire,
    activeLow: gpio.activeLow ?? false,
    bias: gpio.bias ?? 'as-is',
    debounceMs,
    output: isInput
      ? undefined
      : { mode: gpio.drive ?? 'push-pull', safe: safeOf(gpio), maxActiveMs: maxActiveOf(gpio, where) },
  };
}

function maxActiveOf({ maxActive, safe }: Gpio, where: string): number | undefined {
  if (maxActive === undefined) return undefined;
  if (safe === 1)
    throw wrong(`${where}.maxActive`, 'expected none for a line whose safe value is 1', maxActive);
  const ms = durationMs(maxActive);
  if (ms === 0) throw wrong(`${where}.maxActive`, 'expected more than 0 ms', maxActive);
  return ms;
}

function planInterlocks(
  groups: readonly (readonly string[])[],
  lines: readonly LinePlan[],
  where: string,
): readonly (readonly string[])[] {
  const outputs = lines.filter(({ output }) => output).map(({ name }) => name);
  for (const [index, group] of groups.entries()) {
    for (const [at, name] of group.entries()) {
      if (!outputs.includes(name)) {
        throw new RigError(
          'config',
          `${where}.${index}.${at}: expected an output of this target, one of ${outputs.join(', ') || '(there is none)'}, got ${JSON.stringify(name)}${didYouMean(name, outputs)}`,
        );
      }
      if (group.indexOf(name) !== at) throw wrong(`${where}.${index}.${at}`, 'expected each line once', name);
    }
    const active = lines.filter(({ name, output }) => output?.safe === 'active' && group.includes(name));
    if (active.length > 1) {
      const names = active.map(({ name }) => name).join(' and ');
      throw new RigError(
        'config',
        `${where}.${index}: expected at most one line whose safe value is 1, got ${names}`,
      );
    }
  }
  return groups;
}

/** Longer than any contact bounces; the kernel counts microseconds in 32 bits. */
const LONGEST_DEBOUNCE_MS = 60_000;

function safeOf({ safe = 0 }: Gpio): OutputValue {
  if (safe === 'release') return 'released';
  return safe === 1 ? 'active' : 'inactive';
}

function chipOf(gpio: Gpio, where: string, { file, chips }: Source): ChipId {
  const given = (['chip', 'chip_index', 'chip_idx'] as const).filter((key) => gpio[key] !== undefined);
  if (given.length !== 1) {
    const found = given.length === 0 ? 'neither' : given.join(' and ');
    throw new RigError('config', `${where}: expected one of chip, chip_index and chip_idx, got ${found}`);
  }
  const number = gpio.chip_index ?? gpio.chip_idx;
  if (number !== undefined) return { kind: 'number', number };
  const name = gpio.chip ?? '';
  const declared = Object.hasOwn(chips, name) ? chips[name] : undefined;
  if (declared) return declaredChip(name, declared);
  // From the config's own folder: whoever moves one moves the other.
  return name.includes('/') ? { kind: 'path', path: resolve(dirname(file), name) } : { kind: 'name', name };
}

function declaredChip(name: string, chip: DeclaredChip): ChipId {
  if (chip.kind === 'modem') return { kind: 'modem', name, tty: chip.tty };
  const lines = Object.entries(chip.lines).map(([line, { high, low, release }]) => ({
    name: line,
    high,
    low,
    release,
  }));
  const withinMs = chip.within === undefined ? DEFAULT_COMMAND_MS : durationMs(chip.within);
  return { kind: 'command', name, lines, withinMs };
}

function lineOf(gpio: Gpio, where: string): number | string {
  if ((gpio.offset === undefined) === (gpio.line === undefined)) {
    const found = gpio.offset === undefined ? 'neither' : 'both';
    throw new RigError('config', `${where}: expected offset (a number) or line (a name), got ${found}`);
  }
  return gpio.offset ?? gpio.line ?? '';
}

/** Two entries for one wire would undo each other. */
function requireOwnWires(targets: readonly TargetPlan[], file: string): void {
  const seen = new Map<string, string>();
  for (const target of targets) {
    for (const line of target.lines) {
      const wire = `${chipText(line.chip)}, line ${line.at}`;
      const name = `${target.name}/${line.name}`;
      const other = seen.get(wire);
      if (other !== undefined) {
        throw new RigError(
          'config',
          `${file}: expected each line of a chip once, got ${wire} as ${other} and ${name}`,
        );
      }
      seen.set(wire, name);
    }
  }
}

function requireOwnNames(names: readonly string[], where: string): void {
  const index = names.findIndex((name, at) => names.indexOf(name) !== at);
  if (index >= 0) {
    throw new RigError(
      'config',
      `${where}.${index}.name: expected a name of its own, got ${JSON.stringify(names[index])} again`,
    );
  }
}

function wrong(where: string, expected: string, found: unknown): RigError {
  return new RigError('config', `${where}: ${expected}, got ${JSON.stringify(found)}`);
}

/** @throws {RigError} blame `usage`, naming what there is */
export function sequenceAt(
  targets: readonly TargetPlan[],
  name: string,
): { target: TargetPlan; sequence: SequencePlan } {
  const [targetName = '', sequenceName = ''] = name.split(/\/(.*)/s, 2);
  const target = targets.find((each) => each.name === targetName);
  if (!target) {
    const known = targets.map((each) => each.name);
    throw new RigError(
      'usage',
      `${name}: expected TARGET/SEQUENCE, the target one of ${known.join(', ') || '(none)'}${didYouMean(targetName, known)}`,
    );
  }
  const sequence = target.sequences.get(sequenceName);
  if (sequence) return { target, sequence };
  const known = [...target.sequences.keys()];
  throw new RigError(
    'usage',
    `${name}: expected a sequence of ${targetName}, one of ${known.join(', ') || '(none)'}${didYouMean(sequenceName, known)}`,
  );
}
