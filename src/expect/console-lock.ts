/** One reader a console: two would share its bytes out between them. */

import { closeSync, fstatSync, ftruncateSync, readFileSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { describeProcess } from '../base/describe-process.ts';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { openShared } from '../base/shared-file.ts';
import { tryFlock } from '../native/flock.ts';
import { awaitTurn } from './await-turn.ts';

/** The kernel gives no event when a flock ends. */
const LOOK_EACH_MS = 20;

/** Where a console's lock lies. */
export interface ConsoleLockPlace {
  readonly path: string;
  /** `remove` when nothing else keeps the folder tidy. */
  readonly atRelease: 'keep' | 'remove';
}

/**
 * Waits until no other `sai-expect` reads that console, and holds it. Ends with this process, however that ends.
 *
 * @throws {RigError} blame `busy`, naming the holder, when `until` is aborted by {@link TimeUp}
 * @throws the reason of `until` otherwise
 */
export async function lockConsole(
  place: ConsoleLockPlace,
  label: string,
  until: AbortSignal,
  onWait: (holder: string) => void,
): Promise<AsyncDisposable> {
  return await awaitTurn(
    () => {
      const fd = tryLock(place.path);
      return fd === undefined ? holderOf(place.path) : heldLock(fd, place);
    },
    {
      lookEachMs: LOOK_EACH_MS,
      until,
      onWait,
      whenLate: (holder) => `${label}: expected its console to be free, ${holder} still reads it`,
    },
  );
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
