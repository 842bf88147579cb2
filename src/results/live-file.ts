import { closeSync, openSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';

/** A file of this run: what an older one left under that name is gone from the start. */
export class LiveFile {
  readonly #path: string;
  readonly #fd: number;

  /** @throws {RigError} blame `usage` for what is no file, `config` for one that cannot be written */
  constructor(path: string, flag: string) {
    this.#path = path;
    this.#fd = checked(path, flag, () => openSync(path, 'w'));
  }

  /** @throws {RigError} blame `unavailable` */
  write(bytes: Uint8Array, position: number): void {
    try {
      for (let at = 0; at < bytes.length; )
        at += writeSync(this.#fd, bytes, at, bytes.length - at, position + at);
    } catch (error) {
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
  const scratch = `${path}.${process.pid}.new`;
  try {
    writeFileSync(scratch, text);
    renameSync(scratch, path);
  } catch (error) {
    rmSync(scratch, { force: true });
    throw error;
  }
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
