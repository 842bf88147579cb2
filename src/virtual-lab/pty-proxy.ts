/** A tty with a stable name for a board that exists in software, cable included. */

import {
  closeSync,
  lstatSync,
  readlinkSync,
  readSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { ReadStream } from 'node:tty';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { openPty } from '../native/pty.ts';

/** Kept for a reader to come, beside the 20 kB or so that the kernel keeps; what comes after is lost, as on a UART. */
const MAX_BACKLOG_BYTES = 64 * 1024;

/** The kernel does not tell when a pty has room again: it is asked, at first often. */
const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 16;

/**
 * What happens to bytes between board and tty, in one direction: it calls `pass` with what goes on, now or later.
 * Every byte of that direction goes through here, which is where a lab injects faults.
 */
type Passage = (bytes: Buffer, pass: (bytes: Buffer) => void) => void;

/** One for each direction; a direction without one is a good cable. */
export interface Passages {
  readonly toTty?: Passage;
  readonly toBoard?: Passage;
}

const unchanged: Passage = (bytes, pass) => pass(bytes);

export interface PtyProxyOptions {
  /** Bytes from the tty, in any chunking, never empty. */
  readonly toBoard: (bytes: Buffer) => void;
  readonly passages?: Passages;
}

export class PtyProxy implements Disposable {
  /** Stable path: a symlink while plugged in, nothing while not. */
  readonly path: string;
  readonly #options: PtyProxyOptions;
  #cable: Cable | undefined;
  #input: 'flowing' | 'paused' = 'flowing';
  #lostBytes = 0;

  /** Plugged in from the start. @throws {RigError} blame `config` when something foreign is at `path` */
  constructor(path: string, options: PtyProxyOptions) {
    this.path = path;
    this.#options = options;
    this.plug();
  }

  /** Bytes from the board that nobody will see: unread at the unplugging, come after it, or found the backlog full. */
  get lostBytes(): number {
    return this.#lostBytes;
  }

  /** Bytes from the board. Never waits. */
  send(bytes: Buffer): void {
    const passage = this.#options.passages?.toTty ?? unchanged;
    passage(bytes, (passed) => {
      this.#lostBytes += this.#cable ? this.#cable.write(passed) : passed.length;
    });
  }

  /** Whether bytes from the tty are taken; while they are not, its writers wait as for a slow wire. */
  setInput(state: 'flowing' | 'paused'): void {
    this.#input = state;
    this.#cable?.setInput(state);
  }

  plug(): void {
    if (this.#cable) return;
    const passage = this.#options.passages?.toBoard ?? unchanged;
    this.#cable = new Cable(this.path, (bytes) => passage(bytes, this.#options.toBoard));
    this.#cable.setInput(this.#input);
  }

  unplug(): void {
    this.#lostBytes += this.#cable?.takeUnread() ?? 0;
    this.#cable?.[Symbol.dispose]();
    this.#cable = undefined;
  }

  [Symbol.dispose](): void {
    this.unplug();
  }
}

/** One pty from plug to unplug. */
class Cable implements Disposable {
  readonly #path: string;
  readonly #ttyPath: string;
  readonly #masterFd: number;
  readonly #ttyFd: number;
  readonly #reader: ReadStream;
  /** The first `#pendingBytes` of it wait for room in the kernel. */
  readonly #backlog = Buffer.allocUnsafe(MAX_BACKLOG_BYTES);
  #pendingBytes = 0;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;

  constructor(path: string, received: (bytes: Buffer) => void) {
    checkLinkPlace(path);
    const { masterFd, ttyFd, ttyPath } = openPty();
    this.#path = path;
    this.#ttyPath = ttyPath;
    this.#masterFd = masterFd;
    this.#ttyFd = ttyFd;
    // Reads only: libuv does not open a master anew, and its writes to one would block.
    this.#reader = new ReadStream(masterFd);
    this.#reader.on('data', received);
    // EIO when the tty end is hung up from elsewhere; the cable is then of no use until plugged in again.
    this.#reader.on('error', () => {});
    try {
      placeLink(ttyPath, path);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** How many bytes nobody has read. To be disposed of after it: what the kernel held, a hang-up would throw away. */
  takeUnread(): number {
    let sizeBytes = this.#pendingBytes;
    const buffer = Buffer.allocUnsafe(4096);
    for (let taken = readNow(this.#ttyFd, buffer); taken > 0; taken = readNow(this.#ttyFd, buffer)) {
      sizeBytes += taken;
    }
    return sizeBytes;
  }

  setInput(state: 'flowing' | 'paused'): void {
    if (state === 'flowing') this.#reader.resume();
    else this.#reader.pause();
  }

  /** Takes what the kernel and then the backlog have room for; the number of bytes that were lost. */
  write(bytes: Buffer): number {
    if (this.#reader.destroyed) return bytes.length;
    let taken = 0;
    do {
      const before = taken;
      taken += bytes.copy(this.#backlog, this.#pendingBytes, taken);
      this.#pendingBytes += taken - before;
      if (!this.#retry) this.#drain();
      if (taken === before) break;
    } while (taken < bytes.length);
    return bytes.length - taken;
  }

  #drain(): void {
    this.#retry = undefined;
    if (this.#reader.destroyed) return;
    const taken = writeNow(this.#masterFd, this.#backlog.subarray(0, this.#pendingBytes));
    this.#backlog.copyWithin(0, taken, this.#pendingBytes);
    this.#pendingBytes -= taken;
    if (this.#pendingBytes === 0) return;
    this.#retryMs = taken > 0 ? FIRST_RETRY_MS : Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    this.#retry = setTimeout(() => this.#drain(), this.#retryMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#retry);
    removeLink(this.#path, this.#ttyPath);
    this.#reader.destroy(); // closes the master: users of the tty see a hang-up
    closeSync(this.#ttyFd);
  }
}

/** Bytes that the kernel took at once: none while the tty is full, or hung up by its users. */
function writeNow(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if (errnoCode(error) === 'EAGAIN' || errnoCode(error) === 'EIO') return 0;
    throw error;
  }
}

/** Bytes that wait in the tty; 0 also when it is hung up. */
function readNow(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    if (errnoCode(error) === 'EAGAIN' || errnoCode(error) === 'EIO') return 0;
    throw error;
  }
}

/** Whether a link that a proxy made is there, of a living pty or a dead one; anything else belongs to somebody. */
export function isTtyLink(path: string): boolean {
  return lstatSync(path).isSymbolicLink() && /^\/dev\/pts\/\d+$/.test(readlinkSync(path));
}

/** @throws {RigError} blame `config` when what is at `path` is not a pty's link */
function checkLinkPlace(path: string): void {
  const found = describeOccupant(path);
  if (!found) return;
  throw new RigError(
    'config',
    `${path}: expected a free place for a tty's link, found ${found}; move it away or use another folder`,
  );
}

function describeOccupant(path: string): string | undefined {
  try {
    if (isTtyLink(path)) return undefined;
    return lstatSync(path).isSymbolicLink() ? `a link to ${readlinkSync(path)}` : 'a file that is not a link';
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw new RigError('config', `${path}: cannot be looked at: ${reasonOf(error)}`, { cause: error });
  }
}

/** In one step, so that whoever opens the path finds the old tty or the new one. */
function placeLink(target: string, path: string): void {
  const scratch = `${path}.${process.pid}`;
  try {
    symlinkSync(target, scratch);
    renameSync(scratch, path);
  } catch (error) {
    throw new RigError('config', `${path}: cannot make a link there: ${reasonOf(error)}`, { cause: error });
  }
}

function removeLink(path: string, target: string): void {
  try {
    if (readlinkSync(path) === target) unlinkSync(path);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT' && errnoCode(error) !== 'EINVAL') throw error;
  }
}
