/** Whether a command can be started, as a shell would say: execvp gives up at a folder of the PATH that it may not enter. */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { EXIT_CANNOT_START, EXIT_NOT_FOUND } from './exit.ts';
import { statIfVisible } from './visible-file.ts';

/** Source: POSIX sh, 2.9.1.4: what a shell uses when PATH is unset is up to it. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Undefined for a command that can be started, else the status a shell would give, and why. */
export function refusalOf(
  program: string,
  env: NodeJS.ProcessEnv,
): { readonly status: number; readonly text: string } | undefined {
  const candidates = program.includes('/')
    ? [program]
    : (env['PATH'] ?? DEFAULT_PATH).split(delimiter).map((folder) => join(folder || '.', program));
  const there = candidates.filter((path) => statIfVisible(path)?.isFile());
  if (there.some((path) => isExecutable(path))) return undefined;
  if (there.length > 0)
    return { status: EXIT_CANNOT_START, text: `${program}: cannot be started: not executable` };
  const isFolder = program.includes('/') && statIfVisible(program) !== undefined;
  if (isFolder) return { status: EXIT_CANNOT_START, text: `${program}: cannot be started: not a file` };
  return { status: EXIT_NOT_FOUND, text: `${program}: command not found` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // the whole question
  }
}
