/** What a sequence comes to, moment by moment, without being played: for people, and for who looks for mistakes in it. */

import type { LinePlan, OutputValue, TargetPlan } from './plan.ts';
import type { SequencePlan, Step } from './sequence.ts';

/** One moment at which something happens. */
export interface Moment {
  /** Undefined for the start and the end. */
  readonly step: Step | undefined;
  /** Milliseconds from the start, if the board, outlets and servers take no time. */
  readonly earliestMs: number;
  /** The same, if they take as long as they may. */
  readonly latestMs: number;
  readonly text: string;
  /** Values of the outputs from then on. */
  readonly values: ReadonlyMap<string, OutputValue>;
}

export const SHOWN_VALUE: Readonly<Record<OutputValue, string>> = {
  active: '1',
  inactive: '0',
  released: '-',
};

export function outputsOf({ lines }: TargetPlan): LinePlan[] {
  return lines.filter((line) => line.output);
}

/** To the end, from all lines safe or as `before` has them, if no step is late or refused. A pause is no moment of its own. */
export function momentsOf(
  target: TargetPlan,
  sequence: SequencePlan,
  before?: ReadonlyMap<string, OutputValue>,
): Moment[] {
  return Array.from(walk(target, sequence, before), (moment) => ({
    ...moment,
    values: new Map(moment.values),
  }));
}

/** The same one by one; the values of each are true until the next is asked for. */
export function* walk(
  target: TargetPlan,
  { steps }: SequencePlan,
  before?: ReadonlyMap<string, OutputValue>,
): Generator<Moment, void, void> {
  const values = new Map<string, OutputValue>(
    before ?? outputsOf(target).map(({ name, output }) => [name, output?.safe ?? 'released']),
  );
  let earliestMs = 0;
  let latestMs = 0;
  const moment = (text: string, step?: Step): Moment => ({ step, earliestMs, latestMs, text, values });
  const pass = (ms: number): void => {
    earliestMs += ms;
    latestMs += ms;
  };
  yield moment('start, if all is safe');
  for (const step of steps) {
    switch (step.kind) {
      case 'set':
        for (const { line, value } of step.values) values.set(line, value);
        yield moment(step.text, step);
        break;
      case 'pulse': {
        const own = values.get(step.line) ?? 'released';
        values.set(step.line, step.value);
        yield moment(step.text, step);
        pass(step.forMs);
        values.set(step.line, own);
        yield moment(`${step.line} back to ${SHOWN_VALUE[own]}`, step);
        break;
      }
      case 'pause':
        pass(step.pauseMs);
        break;
      case 'wait':
      case 'power':
      case 'http':
        yield moment(step.text, step);
        latestMs += longestMs(step);
    }
  }
  yield moment('end');
}

function longestMs(step: Step & { readonly kind: 'wait' | 'power' | 'http' }): number {
  if (step.kind === 'wait') return step.withinMs;
  return step.kind === 'power' ? step.longestMs : step.call.withinMs;
}
