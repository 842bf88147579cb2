import {
  closeSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';

/** A file of this run: what an older one left under that name is gone from the start. */
export class LiveFile {
  readonly #path: string;
  readonly #fd: number;

  /**
   * `begin` is in it from the first moment on: a reader sees the old file, or this one.
   *
   * @throws {RigError} blame `usage` for what is no file, `config` for one that cannot be written
   */
  constructor(path: string, flag: string, begin: Uint8Array) {
    this.#path = path;
    this.#fd = checked(path, flag, () => {
      const scratch = scratchFor(path);
      let fd: number | undefined;
      try {
        writeFileSync(scratch, begin);
        fd = openSync(scratch, 'r+');
        renameSync(scratch, path);
        return fd;
      } catch (error) {
        if (fd !== undefined) closeSync(fd);
        rmSync(scratch, { force: true });
        throw error;
      }
    });
  }

  /**
   * All of it; or, where the disk is full, `before` in its place, which stood there and needs no more room.
   *
   * @throws {RigError} blame `unavailable`
   */
  write(bytes: Uint8Array, position: number, before: Uint8Array): void {
    try {
      this.#write(bytes, position);
    } catch (error) {
      this.#putBack(before, position);
      throw notWritten(this.#path, error);
    }
  }

  /** In one step: a reader sees the old file or the new one. @throws {RigError} blame `unavailable` */
  replace(text: string): void {
    this.close();
    try {
      replaceFile(this.#path, text);
    } catch (error) {
      throw notWritten(this.#path, error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #putBack(before: Uint8Array, position: number): void {
    try {
      this.#write(before, position);
      ftruncateSync(this.#fd, position + before.length);
    } catch (error) {
      if (errnoCode(error) === undefined) throw error; // a broken disk is told by what it broke
    }
  }

  #write(bytes: Uint8Array, position: number): void {
    for (let at = 0; at < bytes.length; )
      at += writeSync(this.#fd, bytes, at, bytes.length - at, position + at);
  }
}

/** A file that is whole at any moment, from the start on. */
export class WholeFile {
  readonly #path: string;

  /** @throws {RigError} blame `usage` for what is no file, `config` for one that cannot be written */
  constructor(path: string, flag: string, text: string) {
    this.#path = path;
    checked(path, flag, () => replaceFile(path, text));
  }

  /** @throws {RigError} blame `unavailable` */
  replace(text: string): void {
    try {
      replaceFile(this.#path, text);
    } catch (error) {
      throw notWritten(this.#path, error);
    }
  }
}

function checked<T>(path: string, flag: string, open: () => T): T {
  if (kindOf(path) === 'something else')
    throw new RigError('usage', `${flag} ${path}: expected a file or a free name, found something else`);
  try {
    return open();
  } catch (error) {
    throw new RigError('config', `${flag} ${path}: cannot be written: ${reasonOf(error)}`, { cause: error });
  }
}

/** In one step: a reader sees the old file or the new one. */
function replaceFile(path: string, text: string): void {
  const scratch = scratchFor(path);
  try {
    writeFileSync(scratch, text);
    renameSync(scratch, path);
  } catch (error) {
    rmSync(scratch, { force: true });
    throw error;
  }
}

function scratchFor(path: string): string {
  return `${path}.${process.pid}.new`;
}

function notWritten(path: string, error: unknown): RigError {
  return new RigError('unavailable', `${path}: cannot be written: ${reasonOf(error)}`, { cause: error });
}

function kindOf(path: string): 'nothing' | 'a file' | 'something else' {
  try {
    return statSync(path).isFile() ? 'a file' : 'something else';
  } catch (error) {
    if (errnoCode(error) === undefined) throw error;
    return 'nothing';
  }
}
