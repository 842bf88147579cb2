/** The folder of one run's sockets. A flock on it ends with the process, and tells what a killed run left behind. */

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { checkSocketPath } from '../base/unix-socket.ts';
import { tryFlock } from '../native/flock.ts';

const PREFIX = 'sai-log-';

/** What `mkdtemp` makes of it; the default name of a log is longer. */
const MADE_NAME = /^sai-log-[A-Za-z0-9]{6}$/;
const MADE_MODE = 0o700;

export class SocketFolder implements Disposable {
  readonly path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /**
   * In the first of `parents` that exists, is ours to write and leaves room for a socket called `longestName`. Folders
   * of killed runs are removed there.
   *
   * @throws {RigError} blame `config` when there is none
   */
  static make(parents: readonly string[], longestName: string): SocketFolder {
    let reason: unknown;
    for (const parent of parents.map((each) => resolve(each))) {
      try {
        checkSocketPath(join(parent, `${PREFIX}XXXXXX`, longestName));
        sweep(parent);
        return SocketFolder.#makeIn(parent);
      } catch (error) {
        reason = error;
      }
    }
    if (reason instanceof RigError) throw reason;
    throw new RigError(
      'config',
      `${parents.at(-1)}: cannot make the log sockets there: ${reasonOf(reason)}`,
      {
        cause: reason,
      },
    );
  }

  static #makeIn(parent: string): SocketFolder {
    for (;;) {
      const path = mkdtempSync(join(parent, PREFIX));
      const fd = hold(path);
      if (fd !== undefined) return new SocketFolder(path, fd);
      // Swept by another run before we held it.
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
    closeSync(this.#fd);
  }
}

/** Removes what runs that were killed have left: ours, held by nobody, and nothing in it but sockets. */
function sweep(parent: string): void {
  for (const name of readdirSync(parent).filter((each) => MADE_NAME.test(each))) {
    try {
      removeIfDead(join(parent, name));
    } catch {
      // Gone, or not as we make them: it is in nobody's way.
    }
  }
}

function removeIfDead(path: string): void {
  const { uid, mode } = lstatSync(path);
  if (uid !== process.getuid?.() || (mode & 0o777) !== MADE_MODE) return;
  const fd = hold(path);
  if (fd === undefined) return;
  try {
    const entries = readdirSync(path).map((name) => join(path, name));
    if (!entries.every((each) => lstatSync(each).isSocket())) return;
    for (const entry of entries) unlinkSync(entry);
    rmdirSync(path);
  } finally {
    closeSync(fd);
  }
}

/** A descriptor that holds the folder; undefined when another one does, or did and has removed it. */
function hold(path: string): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  if (tryFlock(fd) && isThere(path, fd)) return fd;
  closeSync(fd);
  return undefined;
}

function isThere(path: string, fd: number): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === fstatSync(fd).ino;
}
