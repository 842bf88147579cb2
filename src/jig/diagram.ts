/** A sequence as a table: when it does what, and what each output carries. */

import type { LinePlan, TargetPlan } from './plan.ts';
import type { SequencePlan } from './sequence.ts';
import { type Moment, momentsOf, outputsOf, SHOWN_VALUE } from './walk.ts';

/** What the sequence will do, if no step is late and the board takes as long as it may. */
export function timingDiagram(target: TargetPlan, sequence: SequencePlan): string {
  const outputs = outputsOf(target);
  const moments = momentsOf(target, sequence);
  const width = Math.max(4, ...moments.map((moment) => timeText(moment).length));
  const columns = outputs.map(({ name }) => name.length);
  const row = (time: string, cells: readonly string[], text: string): string =>
    `${time.padStart(width)}  ${cells.map((cell, index) => cell.padEnd(columns[index] ?? 0)).join('  ')}  ${text}`.trimEnd();
  const rows = moments.map((moment) =>
    row(
      timeText(moment),
      outputs.map(({ name }) => SHOWN_VALUE[moment.values.get(name) ?? 'released']),
      moment.text,
    ),
  );
  const head = row(
    'ms',
    outputs.map(({ name }) => name),
    '',
  );
  const notes = ['1 active, 0 inactive, - let go of', ...activeLowNote(outputs)];
  if (moments.some(isLatest)) notes.push('≤ at the latest');
  return `${[titleOf(target, sequence), head, ...rows, `(${notes.join('; ')})`].join('\n')}\n`;
}

/** The same for programs. */
export function timingEntries(target: TargetPlan, sequence: SequencePlan): unknown[] {
  return momentsOf(target, sequence).map((moment) => ({
    atMs: moment.latestMs,
    isLatest: isLatest(moment),
    text: moment.text,
    values: Object.fromEntries(moment.values),
  }));
}

export function titleOf(target: TargetPlan, sequence: SequencePlan): string {
  return `${target.name}/${sequence.name}`;
}

/** Whose levels are the other way round; nothing where there is none. */
export function activeLowNote(lines: readonly LinePlan[]): string[] {
  const low = lines.filter((line) => line.activeLow).map(({ name }) => name);
  return low.length > 0 ? [`1 is the low level of ${low.join(', ')}`] : [];
}

/** After a wait for the board, an outlet or a server. */
function isLatest({ earliestMs, latestMs }: Moment): boolean {
  return earliestMs !== latestMs;
}

function timeText(moment: Moment): string {
  return `${isLatest(moment) ? '≤' : ''}${moment.latestMs}`;
}
