/** What is wrong with targets and their sequences, as far as the plan tells: nothing is asked, opened or played. */

import { formatDuration } from '../base/duration.ts';
import type { CheckFinding } from './check-finding.ts';
import {
  conflictsOf,
  interlocked,
  interlockedAfterOthers,
  type Leaving,
  leavingsOf,
} from './inspect-interlocks.ts';
import type { LinePlan, OutputValue, TargetPlan } from './plan.ts';
import { outletText } from './power-plan.ts';
import type { SequencePlan, Step } from './sequence.ts';
import { type Moment, momentsOf, outputsOf } from './walk.ts';
import { wiringOf } from './wiring-advice.ts';

export function inspectTargets(targets: readonly TargetPlan[]): CheckFinding[] {
  return [...targets.flatMap((target) => inspectTarget(target)), ...sharedOutlets(targets)];
}

function inspectTarget(target: TargetPlan): CheckFinding[] {
  const leavings = leavingsOf(target);
  return [
    ...[...target.sequences.values()].flatMap((sequence) => inspectSequence(target, sequence, leavings)),
    ...interlockedAfterOthers(target, leavings),
    ...outputsOf(target).flatMap((line) => letGo(target, line)),
    ...unused(target),
  ];
}

function inspectSequence(
  target: TargetPlan,
  sequence: SequencePlan,
  leavings: readonly Leaving[],
): CheckFinding[] {
  const moments = momentsOf(target, sequence);
  const findings = [
    ...interlocked(target, sequence, conflictsOf(target, moments), leavings),
    ...outputsOf(target).flatMap((line) => tooLong(target, sequence, moments, line)),
    ...outputsOf(target).flatMap((line) => leftActive(target, sequence, moments, line)),
  ];
  // A repeat does the same again.
  return [...new Map(findings.map((finding) => [finding.text, finding])).values()];
}

/** An error where pauses and pulses alone are too long, a remark where it takes a slow board. */
function tooLong(
  target: TargetPlan,
  sequence: SequencePlan,
  moments: readonly Moment[],
  { name, output }: LinePlan,
): CheckFinding[] {
  const limitMs = output?.maxActiveMs;
  if (limitMs === undefined) return [];
  return activeTimes(moments, name).flatMap(({ from, to }) => {
    const leastMs = to.earliestMs - from.earliestMs;
    const mostMs = to.latestMs - from.latestMs;
    if (mostMs < limitMs) return [];
    const isCertain = leastMs >= limitMs;
    const step = from.step?.path ?? '';
    const where = `${target.name}/${sequence.name}: ${step}: ${from.text}`;
    const limit = `its maxActive, ${formatDuration(limitMs)}`;
    return [
      {
        severity: isCertain ? 'error' : 'remark',
        code: 'max-active',
        ...(isCertain ? { blame: 'config' } : {}),
        target: target.name,
        sequence: sequence.name,
        step,
        line: name,
        text: isCertain
          ? `${where}: expected ${name} active for less than ${limit}, got ${formatDuration(leastMs)}`
          : `${where}: ${name} may be active for up to ${formatDuration(mostMs)}; at ${limit}, the sequence fails`,
      } as const,
    ];
  });
}

/** From the moment at which the line becomes active to the one at which it is no longer, or to the end. */
function activeTimes(moments: readonly Moment[], name: string): { from: Moment; to: Moment }[] {
  const times: { from: Moment; to: Moment }[] = [];
  let from: Moment | undefined;
  for (const moment of moments) {
    const isActive = moment.values.get(name) === 'active';
    if (isActive) from ??= moment;
    if (!from || (isActive && moment !== moments.at(-1))) continue;
    times.push({ from, to: moment });
    from = undefined;
  }
  return times;
}

/** As the config writes it. */
const SHOWN: Readonly<Record<OutputValue, string>> = { active: '1', inactive: '0', released: '"release"' };

/** Legal, and what a `power-on` is for. */
function leftActive(
  target: TargetPlan,
  sequence: SequencePlan,
  moments: readonly Moment[],
  { name, output }: LinePlan,
): CheckFinding[] {
  const value = moments.at(-1)?.values.get(name);
  if (!output || value === undefined || value === output.safe) return [];
  const since = moments.findLast((_, index) => moments[index - 1]?.values.get(name) !== value);
  const step = since?.step?.path ?? '';
  return [
    {
      severity: 'remark',
      code: 'left-active',
      target: target.name,
      sequence: sequence.name,
      step,
      line: name,
      text: `${target.name}/${sequence.name}: ends with ${name} at ${SHOWN[value]} since ${step}; safe is ${SHOWN[output.safe]}`,
    },
  ];
}

function letGo(target: TargetPlan, line: LinePlan): CheckFinding[] {
  const trouble = wiringOf(line)?.trouble;
  if (trouble === undefined) return [];
  return [
    {
      severity: 'remark',
      code: 'unsafe-let-go',
      target: target.name,
      line: line.name,
      text: `${target.name}/${line.name}: ${trouble}`,
    },
  ];
}

function unused(target: TargetPlan): CheckFinding[] {
  const steps = [...target.sequences.values()].flatMap((sequence) => sequence.steps);
  const used = new Set(steps.flatMap((step) => linesOf(step)));
  const lines = target.lines.filter(({ name }) => !used.has(name));
  const hasIdlePower = target.power && !steps.some(({ kind }) => kind === 'power');
  const about = { severity: 'remark', code: 'unused', target: target.name } as const;
  return [
    ...lines.map(({ name }) => ({
      ...about,
      line: name,
      text: `${target.name}/${name}: no sequence uses it`,
    })),
    ...(hasIdlePower ? [{ ...about, text: `${target.name}: no sequence switches its power` }] : []),
  ];
}

function linesOf(step: Step): string[] {
  if (step.kind === 'set') return step.values.map(({ line }) => line);
  return step.kind === 'pulse' || step.kind === 'wait' ? [step.line] : [];
}

function sharedOutlets(targets: readonly TargetPlan[]): CheckFinding[] {
  const owners = new Map<string, string>();
  return targets.flatMap(({ name, power }): CheckFinding[] => {
    if (!power) return [];
    const outlet = outletText(power.outlet);
    const owner = owners.get(outlet);
    if (owner === undefined) {
      owners.set(outlet, name);
      return [];
    }
    const text = `${name}: its power, ${outlet}, is that of ${owner} as well`;
    return [{ severity: 'remark', code: 'same-outlet', target: name, text }];
  });
}
