import { callLibc, SystemError } from './libc.ts';

/** Source: <sys/file.h>. */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/**
 * Takes a flock(2) on an open file, never waiting: a blocking flock cannot be interrupted from JavaScript.
 * False when another open file description holds it. The lock belongs to the open file description: it ends
 * when the last descriptor for it is closed, in whatever process, also by SIGKILL.
 *
 * Never give `fd` to a `tty.ReadStream`: it opens the tty anew over the same number, and the lock is gone.
 *
 * @throws {SystemError} for a bad descriptor
 */
export function tryFlock(fd: number, mode: 'exclusive' | 'shared' = 'exclusive'): boolean {
  try {
    callLibc('flock', fd, (mode === 'exclusive' ? LOCK_EX : LOCK_SH) | LOCK_NB);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === 'EAGAIN') return false;
    throw error;
  }
}

/** Lets go for every process that shares the open file description. @throws {SystemError} for a bad descriptor */
export function unlock(fd: number): void {
  callLibc('flock', fd, LOCK_UN);
}
