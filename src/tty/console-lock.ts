/** One reader a console: two would share its bytes out between them. */

import { closeSync, fstatSync, ftruncateSync, readFileSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { describeProcess } from '../base/describe-process.ts';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { openShared } from '../base/shared-file.ts';
import { tryFlock } from '../native/flock.ts';

/** Where a console's lock lies. */
export interface ConsoleLockPlace {
  readonly path: string;
  /** `remove` when nothing else keeps the folder tidy. */
  readonly atRelease: 'keep' | 'remove';
}

/**
 * The lock, which ends with this process, however that ends and whatever it has started; or who has it, in words.
 *
 * @throws {RigError} blame `unavailable` when there can be no such lock: the lease is over
 */
export function tryLockConsole(place: ConsoleLockPlace): AsyncDisposable | string {
  const fd = tryLock(place.path);
  return fd === undefined ? holderOf(place.path) : heldLock(fd, place);
}

function heldLock(fd: number, place: ConsoleLockPlace): AsyncDisposable {
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return {
    async [Symbol.asyncDispose]() {
      ftruncateSync(fd);
      if (place.atRelease === 'remove') removeIfOurs(place.path);
      closeSync(fd);
    },
  };
}

/** The locked descriptor, or undefined when somebody else has it. */
function tryLock(path: string): number | undefined {
  let fd: number;
  try {
    fd = openShared(path, 0o666); // the next reader may be another user
  } catch (error) {
    throw new RigError('unavailable', `${path}: cannot lock the console: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  // Locked, but perhaps by then removed by its last holder: a lock that nobody else will ever look at.
  if (tryFlock(fd) && isStillThere(fd, path)) return fd;
  closeSync(fd);
  return undefined;
}

function isStillThere(fd: number, path: string): boolean {
  try {
    return statSync(path).ino === fstatSync(fd).ino;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function removeIfOurs(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // somebody else's file in a shared folder: it stays, empty and unlocked
  }
}

function holderOf(path: string): string {
  try {
    const pid = readFileSync(path, 'utf8').trim();
    return /^\d+$/.test(pid) ? describeProcess(Number(pid)) : 'another program';
  } catch {
    return 'another program'; // it let go meanwhile
  }
}
