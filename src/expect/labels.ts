/** Places of a script that steps go to. */

import { didYouMean } from '../base/validate.ts';
import { errorAt, type Path, type StepFile } from './step-file.ts';

/** A place that is known once everything before it is. */
export interface Mark {
  at: number | undefined;
  readonly limit: number | undefined;
  isWanted: boolean;
}

/** Steps among which one can go to a label, and those around them. */
export interface Block {
  readonly labels: ReadonlyMap<string, Mark>;
  readonly outer: Block | undefined;
  /** Just past the loop that this is in. */
  readonly leave: Mark | undefined;
  /** Past the last step of the file, or of one tty's. */
  readonly end: Mark;
}

/**
 * The labels among `steps`, none of which has been placed; `taken` are those of the whole file.
 *
 * @throws {RigError} blame `config`
 */
export function labelsOf(
  steps: readonly unknown[],
  path: Path,
  file: StepFile,
  taken: Set<string>,
): Map<string, Mark> {
  const labels = new Map<string, Mark>();
  for (const [index, step] of steps.entries()) {
    const name = labelOf(step);
    if (name === undefined) continue;
    const at = [...path, index];
    if (['next', 'end', 'leave'].includes(name))
      throw errorAt(
        file,
        at,
        `expected a name of your own, ${JSON.stringify(name)} has a meaning of its own`,
      );
    if (taken.has(name))
      throw errorAt(file, at, `expected each label once, ${JSON.stringify(name)} is there twice`);
    taken.add(name);
    const limit = (step as { limit?: unknown }).limit;
    labels.set(name, newMark(typeof limit === 'number' ? limit : undefined));
  }
  return labels;
}

/**
 * Where `goto: name` in `block` leads.
 *
 * @throws {RigError} blame `config` for no place that one can go to from there
 */
export function targetOf(name: string, path: Path, block: Block, file: StepFile): Mark {
  if (name === 'end') return block.end;
  if (name === 'next')
    throw errorAt(file, path, 'expected next in a choice alone; elsewhere the next step follows by itself');
  if (name === 'leave') {
    if (block.leave) return block.leave;
    throw errorAt(file, path, 'expected leave inside of loop or repeat, this is in none');
  }
  const known: string[] = [];
  for (let each: Block | undefined = block; each; each = each.outer) {
    const mark = each.labels.get(name);
    known.push(...each.labels.keys());
    if (!mark) continue;
    mark.isWanted = true;
    if (mark.at !== undefined && mark.limit === undefined) {
      throw errorAt(
        file,
        path,
        `goes back to the label ${JSON.stringify(name)}, which has no limit; write {label: ${name}, limit: 3} there`,
      );
    }
    return mark;
  }
  throw errorAt(
    file,
    path,
    `expected a label here or around here, or next, leave or end, got ${JSON.stringify(name)}${didYouMean(name, known)}`,
  );
}

export function newMark(limit?: number): Mark {
  return { at: undefined, limit, isWanted: false };
}

export function placeOfMark({ at }: Mark): number {
  if (at === undefined) throw new Error('a place was never set');
  return at;
}

export function labelOf(step: unknown): string | undefined {
  if (typeof step !== 'object' || step === null || !Object.hasOwn(step, 'label')) return undefined;
  const { label } = step as { label: unknown };
  return typeof label === 'string' ? label : undefined;
}
