/** What the chips of a config would say to its lines, as far as it is known without requesting one. */

import { RigError } from '../base/errors.ts';
import type { CheckFinding } from './check-finding.ts';
import type { ChipSurvey, SurveyedChip } from './chip-survey.ts';
import { CommandLines } from './command-chip.ts';
import type { GpioChip } from './gpio.ts';
import { type ModemLevels, type ModemPort, ModemTty } from './modem-chip.ts';
import { type ChipId, chipText, type LinePlan, type TargetPlan } from './plan.ts';
import { offsetOf, TargetLines } from './target-lines.ts';

export async function inspectChips(
  targets: readonly TargetPlan[],
  survey: ChipSurvey,
): Promise<CheckFinding[]> {
  const placed = targets.flatMap((target) => target.lines.map((line) => place(target, line, survey)));
  const refused: CheckFinding[] = [];
  for (const target of targets) refused.push(...(await refusedByDeclared(target)));
  return [
    ...refused,
    ...placed.flatMap(({ problem }) => problem ?? []),
    ...sameWires(placed),
    ...placed.flatMap((each) => heldByOther(each)),
    ...notAsked(survey),
  ];
}

/** A line, and where it is. */
interface Placed {
  readonly target: TargetPlan;
  readonly line: LinePlan;
  readonly chip: SurveyedChip;
  /** The same for two lines that are one wire. */
  readonly at: number | string;
  readonly problem?: CheckFinding;
}

function place(target: TargetPlan, line: LinePlan, survey: ChipSurvey): Placed {
  const key = chipText(line.chip);
  const chip = survey.get(key) ?? { identity: key, name: key, lines: undefined };
  const there = chip.lines;
  if (!there) return { target, line, chip, at: line.at };
  try {
    const at = offsetOf(line, chip, there, target.name);
    if (at >= there.length) {
      throw new RigError(
        'config',
        `${target.name}/${line.name}: ${chip.name}: line ${at}: expected an offset below ${there.length}, the chip's number of lines`,
      );
    }
    return { target, line, chip, at };
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    return { target, line, chip, at: line.at, problem: refusal(target, error, line.name) };
  }
}

/** Under whichever names: each would undo the other, and the second is refused at the start. */
function sameWires(placed: readonly Placed[]): CheckFinding[] {
  const seen = new Map<string, Placed>();
  return placed.flatMap((each): CheckFinding[] => {
    const wire = `${each.chip.identity} ${each.at}`;
    const other = seen.get(wire);
    if (!other) {
      seen.set(wire, each);
      return [];
    }
    const [first, second] = [other, each].map(({ target, line }) => `${target.name}/${line.name}`);
    return [
      {
        severity: 'error',
        code: 'same-wire',
        blame: 'config',
        target: each.target.name,
        line: each.line.name,
        text: `${each.chip.name}, line ${each.at}: expected each line of a chip once, got it as ${first} and ${second}`,
      },
    ];
  });
}

/** Our own daemon holds what it serves. */
function heldByOther({ target, line, chip, at }: Placed): CheckFinding[] {
  const holder = chip.lines?.find(({ offset }) => offset === at)?.consumer;
  if (holder === undefined || holder.startsWith('sai-jig')) return [];
  return [
    {
      severity: 'remark',
      code: 'line-held',
      target: target.name,
      line: line.name,
      text: `${target.name}/${line.name}: ${chip.name}, line ${at} is held by ${holder}; while it is, the jig does not start`,
    },
  ];
}

function notAsked(survey: ChipSurvey): CheckFinding[] {
  return [...survey.values()].flatMap(({ failure }): CheckFinding[] => {
    if (!failure) return [];
    if (failure.blame === 'config') {
      return [{ severity: 'error', code: 'config', blame: failure.blame, text: failure.message }];
    }
    const text = `${failure.message}; so it is not known whether its lines are there, and are used once`;
    return [{ severity: 'remark', code: 'chip-not-asked', text }];
  });
}

/** What adapters and commands refuse, they refuse here as they would at the start; theirs are not opened, or run. */
async function refusedByDeclared(target: TargetPlan): Promise<CheckFinding[]> {
  const chips = new Set(target.lines.map(({ chip }) => chipText(chip)));
  const findings: CheckFinding[] = [];
  for (const key of chips) {
    const lines = target.lines.filter(({ chip }) => chipText(chip) === key);
    const chip = lines[0] && standInFor(lines[0].chip);
    if (!chip) continue;
    try {
      await using _held = await TargetLines.take(
        { ...target, lines },
        { openChip: () => chip, clock: NO_CLOCK, onOverdue: () => {}, say: () => {} },
      );
    } catch (error) {
      if (!(error instanceof RigError)) throw error;
      // What is not on the chip is told of each line, and so is what is there twice.
      const isTold = error.message.startsWith(`${target.name}/`);
      if (!isTold) findings.push(refusal(target, error));
    }
  }
  return findings;
}

function standInFor(chip: ChipId): Promise<GpioChip> | undefined {
  if (chip.kind === 'modem') {
    const source = { name: chip.tty, isThere: () => true, open: idlePort };
    return new ModemTty(source).open();
  }
  if (chip.kind !== 'command') return undefined;
  return new CommandLines(chipText(chip), chip.lines, async () => ({
    status: 0,
    stdout: '',
    stderr: '',
  })).open();
}

function idlePort(levels: ModemLevels): ModemPort {
  return { set: () => {}, get: () => levels, hasHungUp: () => false, close: () => {} };
}

/** Nobody waits for time. */
const NO_CLOCK = { nowMs: () => 0, sleepUntil: () => new Promise<void>(() => {}) };

function refusal(target: TargetPlan, error: RigError, line?: string): CheckFinding {
  return {
    severity: 'error',
    code: 'chip-refuses',
    blame: error.blame,
    target: target.name,
    ...(line === undefined ? {} : { line }),
    text: error.message,
  };
}
