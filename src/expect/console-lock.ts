/** One reader a console: two would share its bytes out between them. */

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeProcess } from '../base/describe-process.ts';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { tryFlock } from '../native/flock.ts';
import { TimeUp } from './verdict.ts';

/** The kernel gives no event when a flock ends. */
const LOOK_EACH_MS = 20;

const OPEN_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;

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
  let announced = false;
  for (;;) {
    const fd = tryLock(place.path);
    if (fd !== undefined) return heldLock(fd, place);
    const holder = holderOf(place.path);
    if (!announced) onWait(holder);
    announced = true;
    try {
      until.throwIfAborted();
      await sleep(LOOK_EACH_MS, undefined, { signal: until });
    } catch {
      throw until.reason instanceof TimeUp
        ? new RigError(
            'busy',
            `${label}: expected its console to be free, ${holder} still reads it (${until.reason.message})`,
          )
        : until.reason;
    }
  }
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
  const fd = openLockFile(path);
  // Locked, but perhaps by then removed by its last holder: a lock that nobody else will ever look at.
  if (tryFlock(fd) && isStillThere(fd, path)) return fd;
  closeSync(fd);
  return undefined;
}

/**
 * Existing files are opened without O_CREAT: in a shared folder the kernel refuses it. Source: fs.protected_regular.
 * Never through a link: in a folder of a group, any member could aim it at a file of ours, which is then emptied.
 */
function openLockFile(path: string): number {
  for (;;) {
    try {
      return checkedLockFile(openSync(path, OPEN_FLAGS), path);
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw lockFailed(path, error);
    }
    try {
      const fd = openSync(path, OPEN_FLAGS | constants.O_CREAT | constants.O_EXCL, 0o666);
      fchmodSync(fd, 0o666); // whatever our umask: the next reader may be another user
      return fd;
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST') throw lockFailed(path, error);
    }
  }
}

function checkedLockFile(fd: number, path: string): number {
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw notAFile(path);
}

function notAFile(path: string, cause?: unknown): RigError {
  return new RigError('unavailable', `${path}: expected the console's lock file, found no file; remove it`, {
    cause,
  });
}

function lockFailed(path: string, error: unknown): RigError {
  if (error instanceof RigError) return error;
  if (errnoCode(error) === 'ELOOP' || errnoCode(error) === 'EISDIR') return notAFile(path, error);
  return new RigError('unavailable', `${path}: cannot lock the console: ${reasonOf(error)}`, {
    cause: error,
  });
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
