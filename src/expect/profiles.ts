/** Scripts that come with the package: what every lab does with a console. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readYamlFile } from '../base/config-file.ts';
import { RigError } from '../base/errors.ts';
import { packageFile } from '../base/package-file.ts';
import { didYouMean, parse } from '../base/validate.ts';
import { ScriptFile } from './script-schema.ts';

const ENDING = '.yaml';

/** By name, in order. */
export function profileNames(): string[] {
  return readdirSync(packageFile('profiles'))
    .filter((name) => name.endsWith(ENDING))
    .map((name) => name.slice(0, -ENDING.length))
    .sort();
}

/**
 * The file of `@name`.
 *
 * @throws {RigError} blame `usage`
 */
export function profilePath(reference: string): string {
  const name = reference.slice(1);
  const names = profileNames();
  if (names.includes(name)) return join(packageFile('profiles'), `${name}${ENDING}`);
  throw new RigError(
    'usage',
    `${reference}: expected one of ${names.map((each) => `@${each}`).join(', ')}, found no such profile${didYouMean(name, names)}`,
  );
}

/** One line for each, with the first line of what its file says about it. */
export async function describeProfiles(): Promise<string> {
  const names = profileNames();
  const width = Math.max(...names.map((name) => name.length)) + 1;
  const lines = await Promise.all(
    names.map(async (name) => {
      const { value } = await readYamlFile(profilePath(`@${name}`));
      const { about = '' } = parse(ScriptFile, value, `@${name}`);
      return `@${name.padEnd(width)} ${about.trim().split('\n')[0]}\n`;
    }),
  );
  return lines.join('');
}
