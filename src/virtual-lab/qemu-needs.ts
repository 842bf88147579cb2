import { existsSync } from 'node:fs';
import { RigError } from '../base/errors.ts';
import { refusalOf } from '../base/program.ts';

/** A program that is looked for on the PATH, or a file, and the Debian package that brings it. */
export type Need =
  | { readonly program: string; readonly debianPackage: string }
  | { readonly file: string; readonly debianPackage: string };

/** What every board in QEMU needs: the emulator for all of them, and what ends it with its lab. */
export const QEMU_NEEDS: readonly Need[] = [
  { program: 'qemu-system-aarch64', debianPackage: 'qemu-system-arm' },
  { program: 'setpriv', debianPackage: 'util-linux' },
];

/** @throws {RigError} blame `unavailable`, naming every package that `what` lacks here */
export function checkNeeds(what: string, needs: readonly Need[], env: NodeJS.ProcessEnv): void {
  const missing = needs.filter((need) =>
    'program' in need ? refusalOf(need.program, env) !== undefined : !existsSync(need.file),
  );
  if (missing.length === 0) return;
  const things = missing.map((need) => ('program' in need ? need.program : need.file)).join(', ');
  const packages = [...new Set(missing.map(({ debianPackage }) => debianPackage))].join(' ');
  throw new RigError(
    'unavailable',
    `${what}: expected ${things}, found none; install with: sudo apt-get install --no-install-recommends ${packages}`,
  );
}
