import type * as v from 'valibot';
import type { LocatedValue } from '../base/config-file.ts';
import { RigError, reasonOf, ScriptError } from '../base/errors.ts';
import { parseAll, type Where } from '../base/validate.ts';
import { ScriptMistakes } from './script-mistakes.ts';
import type { Given } from './template.ts';

/** From the top of a file. */
export type Path = readonly (string | number)[];

/** A file whose steps are wanted. */
export interface StepFile {
  /** As messages name it. */
  readonly name: string;
  readonly at: LocatedValue['at'];
  readonly lineEnd: string;
  readonly given: ReadonlyMap<string, Given>;
  /** Names of captured texts that `given` may ask for. */
  readonly lent: ReadonlySet<string>;
}

/** `file:line:column: path: text`. */
export function errorAt(file: Pick<StepFile, 'at'>, path: Path, text: string, cause?: unknown): RigError {
  const keys = path.length === 0 ? '' : `${path.join('.')}: `;
  return new ScriptError(`${file.at(path)}: ${keys}${text}`, { cause });
}

/** `boot.yaml:12`. */
export function lineOf(file: Pick<StepFile, 'at'>, path: Path): string {
  return file.at(path).replace(/:\d+$/, '');
}

/** What `act` gives; its failure is told with its place in the file. */
export function placed<T>(file: Pick<StepFile, 'at'>, path: Path, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    throw errorAt(file, path, reasonOf(error), error);
  }
}

/**
 * The parsed value.
 *
 * @throws {ScriptMistakes} all that is wrong with it
 */
export function parsePart<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  where: Where,
): v.InferOutput<S> {
  const parsed = parseAll(schema, value, where);
  if (!('problems' in parsed)) return parsed.output;
  throw new ScriptMistakes(withoutEchoes(parsed.problems));
}

/** A misspelt key is missing as well. */
export function withoutEchoes(problems: readonly string[]): readonly string[] {
  const isMisspelt = problems.some((each) => /: unknown key .*\(did you mean /.test(each));
  return isMisspelt ? problems.filter((each) => !each.endsWith(', got nothing')) : problems;
}

/** Names that every object of JavaScript has, and that a check of an object passes over without a word. */
const ODD_KEYS = ['__proto__', 'prototype', 'constructor'];

/**
 * Refuses what would be dropped: a variable, or a tty with its steps.
 *
 * @throws {RigError} blame `config`
 */
export function refuseOddKeys(value: unknown, file: Pick<StepFile, 'at'>): void {
  const seen = new Set<unknown>();
  const open: { readonly value: unknown; readonly path: Path }[] = [{ value, path: [] }];
  for (let each = open.pop(); each; each = open.pop()) {
    if (typeof each.value !== 'object' || each.value === null || seen.has(each.value)) continue;
    seen.add(each.value);
    for (const [key, inner] of Object.entries(each.value)) {
      const path = [...each.path, key];
      if (ODD_KEYS.includes(key)) throw errorAt(file, path, 'expected another name, this one is taken');
      if (typeof inner === 'object') open.push({ value: inner, path });
    }
  }
}
