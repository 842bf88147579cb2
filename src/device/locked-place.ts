/** One locked place of a lease, through everything that may happen to its tty: lent, gone, back again. */

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { type FileId, readFlocks, splitDeviceNumber } from '../base/proc-locks.ts';
import { openShared } from '../base/shared-file.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { tryFlock, unlock } from '../native/flock.ts';
import { makeRaw, readTtySettings } from '../native/termios.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import { leaseFilePath } from './lease-file.ts';
import { recordRelease, writeLeaseRecord } from './lease-record.ts';
import { type Place, survey } from './place.ts';
import type { RunDir } from './run-dir.ts';

/** Why a tty cannot be locked again now. */
export type Hindrance =
  /** Not there, or going away; `text` says what was found. */
  | { readonly by: 'absence'; readonly text: string }
  /** Somebody else's lease. */
  | { readonly by: 'lease' }
  /** A program that knows only the tty's lock. */
  | { readonly by: 'foreigner'; readonly file: FileId };

/**
 * Holds the lease file of a place from first to last, and the flock of its node whenever that is there and not lent.
 * No stream ever gets the descriptors: it would lose the lock (tty.ReadStream).
 */
export class LockedPlace {
  #place: Place;
  /** See {@link registrationOf}. */
  #registration: number | undefined;
  /** Undefined while the tty is away. */
  #nodeFd: number | undefined;
  #isFlocked = true;
  /** Undefined where there is no shared folder. */
  #leaseFd: number | undefined;
  /** Of the place where the tty was before it came back elsewhere. */
  readonly #formerLeaseFds: number[] = [];

  /** Both descriptors are locked. */
  constructor(place: Place, nodeFd: number, leaseFd: number | undefined) {
    this.#place = place;
    this.#registration = registrationOf(place);
    this.#nodeFd = nodeFd;
    this.#leaseFd = leaseFd;
  }

  /** As configured. */
  get path(): string {
    return this.#place.path;
  }

  /** Undefined for what is not a tty of the device. */
  get tty(): Place['tty'] {
    return this.#place.tty;
  }

  get isOpen(): boolean {
    return this.#nodeFd !== undefined;
  }

  get leaseDescriptors(): number[] {
    return [...this.#formerLeaseFds, ...(this.#leaseFd === undefined ? [] : [this.#leaseFd])];
  }

  get nodeDescriptors(): number[] {
    return this.#nodeFd === undefined ? [] : [this.#nodeFd];
  }

  /** Whether the open tty has been unplugged. */
  isHungUp(): boolean {
    return this.tty !== undefined && this.#nodeFd !== undefined && isHungUp(this.#nodeFd);
  }

  /**
   * Whether the path leads to the tty that was locked, and that was not taken away since: if it has hung up, a session
   * that had it as its controlling terminal has ended; or it is being unplugged, and cannot be opened any more.
   */
  isUnmoved(): boolean {
    const found = survey(this.path, this.tty);
    return !('text' in found) && this.#isAsRegistered(found);
  }

  /** Closes the node: a tty that is still open somewhere when it comes back gets another name. */
  close(): void {
    if (this.#nodeFd === undefined) return;
    closeSync(this.#nodeFd);
    this.#nodeFd = undefined;
  }

  /** Drops the flock of the node, also for a guard that shares it. It stays open, so that no line of it moves. */
  lend(): void {
    if (this.#nodeFd !== undefined) unlock(this.#nodeFd);
    this.#isFlocked = false;
  }

  /** Takes the flock of the open node again, and sets it as at first. */
  tryRetake(): Hindrance | undefined {
    if (this.#nodeFd === undefined) return { by: 'absence', text: `${this.path}: not open` };
    if (this.#isFlocked) return undefined;
    if (!tryFlock(this.#nodeFd)) return { by: 'foreigner', file: this.#place };
    try {
      if (!settle(this.#place, this.#nodeFd)) return { by: 'absence', text: `${this.path}: hung up` };
    } catch (error) {
      return { by: 'absence', text: reasonOf(error) };
    }
    this.#isFlocked = true;
    return undefined;
  }

  /**
   * Opens, locks and sets the tty that is at the configured path now. Where that is another place, its lease file is
   * locked and gets `record`; the former one stays locked until `dropFormer`.
   */
  tryReopen(runDir: RunDir | undefined, record: LeaseRecord): Hindrance | undefined {
    const found = survey(this.path, this.tty);
    if ('text' in found) return { by: 'absence', text: found.text };
    if (readFlocks().holderOf(found) !== undefined) return { by: 'foreigner', file: found };
    const fds: number[] = [];
    const hindered = (hindrance: Hindrance): Hindrance => {
      for (const fd of fds) closeSync(fd);
      return hindrance;
    };
    try {
      const hasMoved = runDir !== undefined && found.name !== this.#place.name;
      const leaseFd = hasMoved ? tryLockLeaseFile(found, runDir) : this.#leaseFd;
      if (leaseFd === 'lease') return { by: 'lease' };
      if (hasMoved && leaseFd !== undefined) fds.push(leaseFd);
      const nodeFd = openAndFlock(found);
      if (typeof nodeFd !== 'number') return hindered(nodeFd);
      fds.push(nodeFd);
      // Who reads it may have had it again before us, and have set its speed; of what was lent, a tool has.
      const isSet = this.#isFlocked && this.#isAsRegistered(found) && isSettled(found, nodeFd);
      if (!isSet && !settle(found, nodeFd))
        return hindered({ by: 'absence', text: `${found.path}: went away again` });
      if (hasMoved && leaseFd !== undefined) writeLeaseRecord(leaseFd, record);
      if (hasMoved && this.#leaseFd !== undefined) this.#formerLeaseFds.push(this.#leaseFd);
      this.#leaseFd = leaseFd;
      this.#nodeFd = nodeFd;
      this.#isFlocked = true;
      this.#place = found;
      this.#registration = registrationOf(found);
      return undefined;
    } catch (error) {
      // What is wrong with a tty that comes back may be so for a moment: before udev has given it to its group.
      return hindered({ by: 'absence', text: reasonOf(error) });
    }
  }

  /** Lets go of places where the tty is no longer; true when there was one. */
  dropFormer(record: LeaseRecord): boolean {
    const fds = this.#formerLeaseFds.splice(0);
    recordRelease(record, fds);
    for (const fd of fds) letGo(fd);
    return fds.length > 0;
  }

  /** Lets go at once, also for a guard that still has the descriptors. */
  release(): void {
    for (const fd of [...this.nodeDescriptors, ...this.leaseDescriptors]) letGo(fd);
    this.#nodeFd = undefined;
    this.#leaseFd = undefined;
    this.#formerLeaseFds.length = 0;
  }

  #isAsRegistered(found: Place): boolean {
    return isSameNode(found, this.#place) && (registrationOf(found) ?? NaN) === this.#registration;
  }
}

/** @throws {RigError} blame `config` for a lease file that cannot be used */
export function tryLockLeaseFile(place: Place, runDir: RunDir): number | 'lease' {
  const path = leaseFilePath(runDir, place);
  let fd: number | undefined;
  try {
    fd = openShared(path);
    if (tryFlock(fd)) return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw new RigError('config', `${path}: cannot be used as lease file: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  closeSync(fd);
  return 'lease';
}

/**
 * The open and flocked node of a place, which moves the modem lines of a tty. Not set yet.
 *
 * @throws {RigError} blame `hardware` for what the system refuses to open
 */
export function openAndFlock(place: Place): number | Hindrance {
  const access = place.tty ? constants.O_RDWR : constants.O_RDONLY;
  let fd: number;
  try {
    fd = openSync(place.path, access | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'EBUSY') return { by: 'foreigner', file: place }; // somebody set TIOCEXCL
    if (code === 'ENOENT' || code === 'ENXIO' || code === 'EIO' || code === 'ENODEV') {
      return { by: 'absence', text: `${place.path}: went away while it was opened` };
    }
    throw new RigError('hardware', `${place.path}: cannot be opened: ${reasonOf(error)}`, { cause: error });
  }
  const now = fstatSync(fd);
  const isSame = isSameNode(now, place);
  if (isSame && tryFlock(fd)) return fd;
  closeSync(fd);
  if (isSame) return { by: 'foreigner', file: place };
  return { by: 'absence', text: `${place.path}: another device has taken its number` };
}

/** Makes the tty raw and silent; what had arrived is kept. False when it went away meanwhile. */
export function settle(place: Place, fd: number): boolean {
  if (!place.tty) return true;
  const { baudRate, hangUpOnClose } = place.tty;
  try {
    makeRaw(fd, { baudRate, hangUpOnClose });
    return true;
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'EIO') return false;
    const why =
      code === 'ENOTTY' ? 'expected a tty, found another kind of file' : `cannot be set: ${reasonOf(error)}`;
    throw new RigError('hardware', `${place.path}: ${why}; correct the devices config`, { cause: error });
  }
}

type Node = Pick<Place, 'dev' | 'ino' | 'rdev'>;

function isSameNode(a: Node, b: Node): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.rdev === b.rdev;
}

/**
 * The kernel's own number for a device from its coming to its going, which its node need not tell: a container's stays.
 * Undefined for a pty, and where there is no sysfs. Source: Linux fs/kernfs: inode numbers are given out in turn.
 */
function registrationOf({ rdev }: Node): number | undefined {
  const { major, minor } = splitDeviceNumber(rdev);
  return statIfVisible(`/sys/dev/char/${major}:${minor}`)?.ino;
}

/** But for its speed. */
function isSettled({ tty }: Place, fd: number): boolean {
  try {
    const { raw, echo, local, hangUpOnClose } = readTtySettings(fd);
    return raw && !echo && local && hangUpOnClose === tty?.hangUpOnClose;
  } catch {
    return false; // to set it tells why
  }
}

function isHungUp(fd: number): boolean {
  try {
    readTtySettings(fd);
    return false;
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'EIO' || code === 'ENXIO' || code === 'ENODEV') return true;
    throw error;
  }
}

function letGo(fd: number): void {
  try {
    unlock(fd);
  } finally {
    closeSync(fd);
  }
}
