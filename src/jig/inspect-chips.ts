/** What the chips of a config would say to its lines, as far as it is known without requesting one. */

import { RigError } from '../base/errors.ts';
import type { CheckFinding } from './check-finding.ts';
import type { ChipSurvey, SurveyedChip } from './chip-survey.ts';
import type { Backend } from './chips.ts';
import { CommandLines } from './command-chip.ts';
import type { GpioChip, LineSettings } from './gpio.ts';
import { requireNoDebounce } from './libgpiod-chip.ts';
import { Line } from './line.ts';
import { type ModemLevels, type ModemPort, ModemTty } from './modem-chip.ts';
import { type ChipId, chipText, type LinePlan, type TargetPlan } from './plan.ts';
import { requireOfBoard } from './socket-chip.ts';
import { consumerOf, offsetOf, TargetLines } from './target-lines.ts';
import { requireOneRequest } from './uapi-chip.ts';

export async function inspectChips(
  targets: readonly TargetPlan[],
  survey: ChipSurvey,
  backend: Backend = 'auto',
): Promise<CheckFinding[]> {
  const placed = targets.flatMap((target) => target.lines.map((line) => place(target, line, survey)));
  const refused: CheckFinding[] = [];
  for (const target of targets) refused.push(...(await refusedByDeclared(target)));
  return [
    ...refused,
    ...placed.flatMap(({ problem }) => problem ?? []),
    ...targets.flatMap((target) => refusedSettings(target, placed, backend)),
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

/** What virtual boards, the library and the kernel refuse whatever the chip; drivers are known when they are asked. */
function refusedSettings(target: TargetPlan, placed: readonly Placed[], backend: Backend): CheckFinding[] {
  if (backend === 'simulated') return [];
  const own = placed.filter((each) => each.target === target && !each.problem);
  const isSocket = ({ line: { chip } }: Placed): boolean =>
    chip.kind === 'path' && !chip.path.startsWith('/dev/');
  const kernels = own.filter(
    (each) => !isSocket(each) && each.line.chip.kind !== 'modem' && each.line.chip.kind !== 'command',
  );
  const attempt = (act: () => void, line?: string): CheckFinding[] => {
    try {
      act();
      return [];
    } catch (error) {
      if (error instanceof RigError) return [refusal(target, error, line)];
      throw error;
    }
  };
  const ofBoards = own.filter(isSocket).flatMap(({ line, chip, at }) => {
    const there = chip.lines?.find(({ offset }) => offset === at);
    const where = `${chip.name}: line ${there?.name ?? at}`;
    return attempt(() => {
      requireOfBoard(where, Line.settings(line));
      if (there?.isBoards && line.output) {
        throw new RigError('config', `${where}: expected a line that can be driven, the board drives it`);
      }
    }, line.name);
  });
  if (backend === 'libgpiod') {
    const ofLibrary = kernels.flatMap(({ line, chip, at }) =>
      attempt(() => requireNoDebounce(`${chip.name}: line ${at}`, Line.settings(line)), line.name),
    );
    return [...ofBoards, ...ofLibrary];
  }
  const requests = new Map<string, { readonly where: string; readonly lines: LineSettings[] }>();
  for (const { line, chip } of kernels) {
    const settings = Line.settings(line);
    const key = `${chipText(line.chip)} ${settings.direction}`;
    const request = requests.get(key) ?? { where: chip.name, lines: [] };
    request.lines.push(settings);
    requests.set(key, request);
  }
  const ofKernel = [...requests.values()].flatMap(({ where, lines }) =>
    attempt(() => requireOneRequest(where, lines)),
  );
  return [...ofBoards, ...ofKernel];
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

/** Our own daemon holds what it serves; the kernel keeps the beginning of its name. */
function heldByOther({ target, line, chip, at }: Placed): CheckFinding[] {
  const holder = chip.lines?.find(({ offset }) => offset === at)?.consumer;
  if (holder === undefined || consumerOf(target.name).startsWith(holder)) return [];
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
