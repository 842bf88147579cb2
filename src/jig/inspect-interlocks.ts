/** Sequences that make two lines of an interlock active: at once, or after others. */

import type { CheckFinding } from './check-finding.ts';
import type { OutputValue, TargetPlan } from './plan.ts';
import type { SequencePlan, Step } from './sequence.ts';
import { interlockText } from './target-lines.ts';
import { type Moment, walk } from './walk.ts';

/** A step that makes a line active, and another of its interlock that is. */
export interface Conflict {
  readonly step: Step;
  readonly line: string;
  readonly rival: string;
}

/** As `TargetLines` refuses it: what the step makes active is judged by what is active once it has been done. */
export function conflictsOf(target: TargetPlan, moments: Iterable<Moment>): Conflict[] {
  const conflicts = new Map<string, Conflict>();
  for (const { step, values } of moments) {
    for (const group of step ? target.interlocks : []) {
      const active = group.filter((name) => values.get(name) === 'active');
      const line = step && madeActive(step).find((name) => active.includes(name));
      const rival = active.find((name) => name !== line);
      if (!step || line === undefined || rival === undefined) continue;
      const conflict = { step, line, rival };
      if (!conflicts.has(pairOf(conflict))) conflicts.set(pairOf(conflict), conflict);
    }
  }
  return [...conflicts.values()];
}

/** An error, unless another sequence leaves lines so that it can be done: then it may be meant to be asked for after that. */
export function interlocked(
  target: TargetPlan,
  sequence: SequencePlan,
  conflicts: readonly Conflict[],
  leavings: readonly Leaving[],
): CheckFinding[] {
  if (conflicts.length === 0) return [];
  const way = leavings.find(({ left }) => conflictsOf(target, walk(target, sequence, left)).length === 0);
  return conflicts.map(({ step, line, rival }) => {
    const about = { target: target.name, sequence: sequence.name, step: step.path, line };
    const where = `${target.name}/${sequence.name}: ${step.path}: ${step.text}`;
    if (way) {
      const text = `${where} is refused when all is safe, as ${rival} is active then; it is not after ${listed(way.names)}`;
      return { ...about, severity: 'remark', code: 'interlock', text };
    }
    const text = `${where}: ${interlockText(line, rival, madeActive(step).includes(rival))}`;
    return { ...about, severity: 'error', code: 'interlock', blame: 'config', text };
  });
}

/** What is refused only after a sequence that has left a line active: it may never be asked for then. */
export function interlockedAfterOthers(target: TargetPlan, leavings: readonly Leaving[]): CheckFinding[] {
  const active = leavings.filter(({ isActive }) => isActive);
  if (active.length === 0) return [];
  return [...target.sequences.values()].flatMap((sequence) => {
    const certain = conflictsOf(target, walk(target, sequence)).map((each) => pairOf(each));
    return active.flatMap(({ names, left }) =>
      conflictsOf(target, walk(target, sequence, left))
        .filter((conflict) => !certain.includes(pairOf(conflict)))
        .map(
          ({ step, line, rival }): CheckFinding => ({
            severity: 'remark',
            code: 'interlock',
            target: target.name,
            sequence: sequence.name,
            step: step.path,
            line,
            text: `${target.name}/${sequence.name}: ${step.path}: ${step.text} is refused after ${listed(names)}, which ${names.length === 1 ? 'leaves' : 'leave'} ${rival} active`,
          }),
        ),
    );
  });
}

/** Sequences that leave interlocked lines alike, and what they leave. */
export interface Leaving {
  readonly names: string[];
  readonly left: ReadonlyMap<string, OutputValue>;
  readonly isActive: boolean;
}

/** Those that come to their end from all lines safe; any other leaves them so. */
export function leavingsOf(target: TargetPlan): Leaving[] {
  const guarded = [...new Set(target.interlocks.flat())];
  const leavings = new Map<string, Leaving>();
  for (const sequence of guarded.length > 0 ? target.sequences.values() : []) {
    if (conflictsOf(target, walk(target, sequence)).length > 0) continue;
    let left: ReadonlyMap<string, OutputValue> = new Map();
    for (const { values } of walk(target, sequence)) left = values;
    const active = guarded.filter((line) => left.get(line) === 'active').join(' ');
    const same = leavings.get(active);
    if (same) same.names.push(sequence.name);
    else leavings.set(active, { names: [sequence.name], left, isActive: active !== '' });
  }
  return [...leavings.values()];
}

const MOST_LISTED = 3;

function listed(names: readonly string[]): string {
  const rest = names.length > MOST_LISTED ? [`${names.length - MOST_LISTED} more`] : [];
  const all = [...names.slice(0, MOST_LISTED), ...rest];
  const last = all.pop() ?? '';
  return all.length === 0 ? last : `${all.join(', ')} and ${last}`;
}

function pairOf({ line, rival }: Conflict): string {
  return [line, rival].sort().join(' ');
}

function madeActive(step: Step): string[] {
  if (step.kind === 'set')
    return step.values.filter(({ value }) => value === 'active').map(({ line }) => line);
  return step.kind === 'pulse' && step.value === 'active' ? [step.line] : [];
}
