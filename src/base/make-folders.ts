import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoCode } from './errors.ts';

/**
 * Makes a folder and the parents that it lacks. Those that were made, the lowest first; none when it was there.
 * Not by `recursive`: where a folder exists and takes none, as in /proc, that never returns on Node.js 20.
 *
 * @throws the system's error
 */
export function makeFolders(path: string, mode = 0o777): string[] {
  try {
    mkdirSync(path, { mode });
    return [path];
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return [];
    if (errnoCode(error) !== 'ENOENT' || existsSync(dirname(path))) throw error;
  }
  const parents = makeFolders(dirname(path), mode);
  mkdirSync(path, { mode });
  return [path, ...parents];
}
