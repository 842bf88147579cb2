/** A sequence as text: when it does what, and what each line carries. */

import type { LinePlan, OutputValue, TargetPlan } from './plan.ts';
import type { SequencePlan, Step } from './sequence.ts';

/** One moment at which something happens. */
interface Moment {
  readonly atMs: number;
  /** True after a wait for the board, an outlet or a server: the time counts from the latest it may come. */
  readonly isLatest: boolean;
  readonly text: string;
  /** Values of the outputs from then on. */
  readonly values: ReadonlyMap<string, OutputValue>;
}

const CELL: Readonly<Record<OutputValue, string>> = { active: '1', inactive: '0', released: '-' };

/** What the sequence will do, if no step is late and the board takes as long as it may. */
export function timingDiagram(target: TargetPlan, sequence: SequencePlan): string {
  const outputs = target.lines.filter((line) => line.output);
  const moments = momentsOf(sequence.steps, outputs);
  const width = Math.max(4, ...moments.map((moment) => timeText(moment).length));
  const columns = outputs.map(({ name }) => name.length);
  const row = (time: string, cells: readonly string[], text: string): string =>
    `${time.padStart(width)}  ${cells.map((cell, index) => cell.padEnd(columns[index] ?? 0)).join('  ')}  ${text}`.trimEnd();
  const rows = moments.map((moment) =>
    row(
      timeText(moment),
      outputs.map(({ name }) => CELL[moment.values.get(name) ?? 'released']),
      moment.text,
    ),
  );
  const head = row(
    'ms',
    outputs.map(({ name }) => name),
    '',
  );
  const notes = ['1 active, 0 inactive, - let go of'];
  const low = outputs.filter((line) => line.activeLow).map(({ name }) => name);
  if (low.length > 0) notes.push(`1 is the low level of ${low.join(', ')}`);
  if (moments.some((moment) => moment.isLatest)) notes.push('≤ at the latest');
  return `${[`${target.name}/${sequence.name}`, head, ...rows, `(${notes.join('; ')})`].join('\n')}\n`;
}

/** The same for programs. */
export function timingEntries(target: TargetPlan, sequence: SequencePlan): unknown[] {
  return momentsOf(
    sequence.steps,
    target.lines.filter((line) => line.output),
  ).map((moment) => ({
    ...moment,
    values: Object.fromEntries(moment.values),
  }));
}

function momentsOf(steps: readonly Step[], outputs: readonly LinePlan[]): Moment[] {
  const values = new Map<string, OutputValue>(
    outputs.map(({ name, output }) => [name, output?.safe ?? 'released']),
  );
  let atMs = 0;
  let isLatest = false;
  const moments: Moment[] = [];
  const add = (text: string): void => {
    moments.push({ atMs, isLatest, text, values: new Map(values) });
  };
  add('start, if all is safe');
  for (const step of steps) {
    switch (step.kind) {
      case 'set':
        for (const { line, value } of step.values) values.set(line, value);
        add(step.text);
        break;
      case 'pulse': {
        const before = values.get(step.line) ?? 'released';
        values.set(step.line, step.value);
        add(step.text);
        atMs += step.forMs;
        values.set(step.line, before);
        add(`${step.line} back to ${CELL[before]}`);
        break;
      }
      case 'pause':
        atMs += step.pauseMs;
        break;
      case 'wait':
        add(step.text);
        atMs += step.withinMs;
        isLatest = true;
        break;
      case 'power':
        add(step.text);
        atMs += step.longestMs;
        isLatest = true;
        break;
      case 'http':
        add(step.text);
        atMs += step.call.withinMs;
        isLatest = true;
    }
  }
  add('end');
  return moments;
}

function timeText({ atMs, isLatest }: Moment): string {
  return `${isLatest ? '≤' : ''}${atMs}`;
}
