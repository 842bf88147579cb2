import { timingEntries } from '../../src/jig/diagram.ts';
import type { OutputValue, TargetPlan } from '../../src/jig/plan.ts';
import type { SequencePlan } from '../../src/jig/sequence.ts';

/** What the kernel is to trace of a sequence that begins with all lines safe: from what `sai-jig --dry-run --json` prints. */
export function plannedEvents(target: TargetPlan, sequence: SequencePlan): string[] {
  const moments = timingEntries(target, sequence) as { values: Record<string, OutputValue> }[];
  return moments.flatMap(({ values }, at) =>
    Object.entries(values)
      .filter(([name, value]) => at > 0 && moments[at - 1]?.values[name] !== value)
      .flatMap(([name, value]) => eventsOf(target, name, value)),
  );
}

/** What the kernel is to trace when the lines of a target are requested. */
export function safeEvents(target: TargetPlan): string[] {
  return target.lines.flatMap(({ name, output }) => {
    if (!output) return [`${target.name}.${name} in`];
    const [level = '', direction] = eventsOf(target, name, output.safe);
    return direction === undefined ? [level, `${target.name}.${name} out`] : [direction];
  });
}

/** Of what was traced of a target whose lines were safe before, all that changes something. */
export function changesIn(target: TargetPlan, events: readonly string[]): string[] {
  const outputs = target.lines.filter(({ output }) => output !== undefined);
  const levels = outputs.flatMap(({ name, output }) => eventsOf(target, name, output?.safe ?? 'released'));
  const last = new Map<string, string>();
  const isChange = (event: string): boolean => {
    const [line = '', ...what] = event.split(' ');
    const key = `${line} ${what.length === 1 ? 'direction' : 'level'}`;
    const isNew = last.get(key) !== event;
    last.set(key, event);
    return isNew;
  };
  [...levels, ...safeEvents(target)].forEach(isChange);
  return events.filter(isChange);
}

/** A line that is open drain or open source is let go of by making it an input. */
function eventsOf(target: TargetPlan, name: string, value: OutputValue): string[] {
  const line = target.lines.find((each) => each.name === name);
  const isHigh = (value === 'active') !== line?.activeLow;
  const level = `${target.name}.${name} set ${isHigh ? 1 : 0}`;
  const mode = line?.output?.mode;
  if (mode !== 'open-drain' && mode !== 'open-source') return [level];
  const isLetGoOf = isHigh === (mode === 'open-drain');
  return [level, `${target.name}.${name} ${isLetGoOf ? 'in' : 'out'}`];
}
