import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { makeFolders } from '../base/make-folders.ts';
import { tryFlock } from '../native/flock.ts';
import { type Device, DevicePool } from '../wire/device.ts';
import { isLabsJigConfig } from './jig-config.ts';
import { isTtyLink } from './pty-proxy.ts';

const DEVICES_FILE = 'devices.json';
const JIG_FILE = 'jig.json';

/**
 * The folder in which a lab keeps its links and sockets, held by one lab at a time: by a flock on the folder
 * itself, which ends with the process. What a killed lab left there is cleared away.
 */
export class LabFolder implements Disposable {
  readonly path: string;
  readonly #fd: number;
  readonly #isMade: boolean;

  /** @throws {RigError} blame `busy` when a lab runs there, `config` when it cannot be used */
  constructor(path: string) {
    this.path = path;
    this.#isMade = makeFolder(path);
    this.#fd = holdFolder(path);
    try {
      checkOwn(this.devicesFile, isLabsPool);
      checkOwn(this.jigFile, (text) => isLabsJigConfig(text, path));
      removeLeftovers(path);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get devicesFile(): string {
    return join(this.path, DEVICES_FILE);
  }

  get jigFile(): string {
    return join(this.path, JIG_FILE);
  }

  writeDevices(devices: readonly Device[]): void {
    replaceFile(this.devicesFile, { devices });
  }

  writeJig(config: object): void {
    replaceFile(this.jigFile, config);
  }

  [Symbol.dispose](): void {
    rmSync(this.devicesFile, { force: true });
    rmSync(this.jigFile, { force: true });
    if (this.#isMade) removeIfEmpty(this.path);
    closeSync(this.#fd);
  }
}

/** Whoever reads it finds the old text or the new one, whole. */
function replaceFile(path: string, value: object): void {
  const scratch = `${path}.${process.pid}`;
  writeFileSync(scratch, `${JSON.stringify(value, undefined, 2)}\n`);
  renameSync(scratch, path);
}

/** True when it was not there before. */
function makeFolder(path: string): boolean {
  try {
    return makeFolders(path, 0o700).length > 0;
  } catch (error) {
    throw new RigError('config', `${path}: cannot make this folder: ${reasonOf(error)}`, { cause: error });
  }
}

function holdFolder(path: string): number {
  const fd = openFolder(path);
  if (!tryFlock(fd)) {
    closeSync(fd);
    throw new RigError('busy', `${path}: a virtual lab already runs here; stop it or name another --dir`);
  }
  if (isStill(path, fd)) return fd;
  // The lab that ended in between took the folder with it.
  closeSync(fd);
  makeFolder(path);
  return holdFolder(path);
}

function openFolder(path: string): number {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    const owner = fstatSync(fd).uid;
    if (owner === process.getuid?.()) return fd;
    closeSync(fd);
    throw new RigError(
      'config',
      `${path}: expected a folder of yours, it belongs to user ${owner}; name another --dir`,
    );
  } catch (error) {
    if (error instanceof RigError) throw error;
    throw new RigError('config', `${path}: cannot use this folder: ${reasonOf(error)}`, { cause: error });
  }
}

function isStill(path: string, fd: number): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  return now?.ino === fstatSync(fd).ino;
}

/** @throws {RigError} blame `config` when the file is there and no lab wrote it */
function checkOwn(path: string, isOurs: (text: string) => boolean): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw new RigError('config', `${path}: cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  if (!isOurs(text)) {
    throw new RigError(
      'config',
      `${path}: expected none or that of a virtual lab; move it away or name another --dir`,
    );
  }
}

function isLabsPool(text: string): boolean {
  try {
    const { devices } = v.parse(DevicePool, JSON.parse(text));
    return devices.length > 0 && devices.every((device) => device.env?.['SIM_CHIP'] !== undefined);
  } catch {
    return false; // whatever it is, no lab wrote it
  }
}

/** Only what labs make, and only under this folder's lock: nobody uses it any more. */
function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const isLeftover =
      (/\.tty\d+(?:\.\d+)?$/.test(name) && isTtyLink(path)) ||
      (name.endsWith('.chip') && lstatSync(path).isSocket()) ||
      /^(?:devices|jig)\.json(?:\.\d+)?$/.test(name);
    if (isLeftover) unlinkSync(path);
  }
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (errnoCode(error) !== 'ENOTEMPTY' && errnoCode(error) !== 'EEXIST') throw error;
  }
}
