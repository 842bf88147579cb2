import type { LocatedValue } from '../base/config-file.ts';
import { RigError, reasonOf } from '../base/errors.ts';
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
  return new RigError('config', `${file.at(path)}: ${keys}${text}`, { cause });
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
