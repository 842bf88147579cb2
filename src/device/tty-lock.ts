/** Takes the locks of one device: all of its places or none, the shared lease file of each before its node. */

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { type FlockTable, readFlocks } from '../base/proc-locks.ts';
import { openShared } from '../base/shared-file.ts';
import { tryFlock, unlock } from '../native/flock.ts';
import { makeRaw, readTtySettings } from '../native/termios.ts';
import { leaseFilePath } from './lease-file.ts';
import type { Place } from './place.ts';
import type { RunDir } from './run-dir.ts';

/** One place whose locks we hold. No stream ever gets these descriptors: it would lose the lock (tty.ReadStream). */
interface LockedPlace {
  readonly place: Place;
  readonly nodeFd: number;
  /** Undefined where there is no shared folder. */
  readonly leaseFd: number | undefined;
}

/** Why a device could not be locked: a lease of ours, a program that knows only the tty's lock, or it went away. */
export interface LockRefusal {
  readonly lock?: undefined;
  readonly by: 'lease' | 'foreigner' | 'unplug';
}

/** The locks of one device; they live until `release`, or until every process that got the descriptors has ended. */
export class DeviceLock {
  readonly #places: readonly LockedPlace[];
  #released = false;

  constructor(places: readonly LockedPlace[]) {
    this.#places = places;
  }

  /** Open lease files, for the record of who holds the device. */
  get leaseDescriptors(): number[] {
    return this.#places.map((each) => each.leaseFd).filter((fd) => fd !== undefined);
  }

  get nodeDescriptors(): number[] {
    return this.#places.map((each) => each.nodeFd);
  }

  /** The first tty that has been hung up (unplugged), as configured. */
  hungUpTty(): string | undefined {
    return this.#places.find(({ place, nodeFd }) => place.tty && isHungUp(nodeFd))?.place.path;
  }

  /** Lets go at once, also for a guard that still has the descriptors. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const { nodeFd, leaseFd } of [...this.#places].reverse()) {
      letGo(nodeFd);
      if (leaseFd !== undefined) letGo(leaseFd);
    }
  }
}

/**
 * Tries once, waiting for nobody. The ttys are raw and silent afterwards, and what had arrived is kept.
 *
 * @throws {RigError} blame `hardware` for a tty that is none, `config` for a lease file that cannot be used
 */
export function tryLockDevice(
  places: readonly Place[],
  runDir: RunDir | undefined,
  lookAtFlocks: () => FlockTable = readFlocks,
): { readonly lock: DeviceLock } | LockRefusal {
  const leaseFds = runDir ? tryLockLeaseFiles(places, runDir) : places.map(() => undefined);
  if (!leaseFds) return { by: 'lease' };
  const locked: LockedPlace[] = [];
  const refused = (by: LockRefusal['by']): LockRefusal => {
    for (const { nodeFd } of locked) closeSync(nodeFd);
    closeAll(leaseFds);
    return { by };
  };
  try {
    // Opening a tty moves DTR and resets many boards: a tty that somebody works with is not even opened.
    const flocks = lookAtFlocks();
    if (places.some((place) => flocks.holderOf(place) !== undefined)) return refused('foreigner');
    for (const [index, place] of places.entries()) {
      const nodeFd = openNode(place);
      if (typeof nodeFd === 'string') return refused(nodeFd);
      locked.push({ place, nodeFd, leaseFd: leaseFds[index] });
      if (!tryFlock(nodeFd)) return refused('foreigner');
    }
    for (const { place, nodeFd } of locked) {
      if (!settle(place, nodeFd)) return refused('unplug');
    }
    return { lock: new DeviceLock(locked) };
  } catch (error) {
    refused('foreigner');
    throw error;
  }
}

function tryLockLeaseFiles(places: readonly Place[], runDir: RunDir): number[] | undefined {
  const fds: number[] = [];
  for (const place of places) {
    const path = leaseFilePath(runDir, place);
    try {
      const fd = openShared(path);
      fds.push(fd);
      if (tryFlock(fd)) continue;
    } catch (error) {
      closeAll(fds);
      throw new RigError('config', `${path}: cannot be used as lease file: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    closeAll(fds);
    return undefined;
  }
  return fds;
}

function openNode(place: Place): number | LockRefusal['by'] {
  const access = place.tty ? constants.O_RDWR : constants.O_RDONLY;
  let fd: number;
  try {
    fd = openSync(place.path, access | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'EBUSY') return 'foreigner'; // somebody set TIOCEXCL
    if (code === 'ENOENT' || code === 'ENXIO' || code === 'EIO' || code === 'ENODEV') return 'unplug';
    throw new RigError('hardware', `${place.path}: cannot be opened: ${reasonOf(error)}`, { cause: error });
  }
  const now = fstatSync(fd);
  if (now.dev === place.dev && now.ino === place.ino && now.rdev === place.rdev) return fd;
  closeSync(fd);
  return 'unplug'; // another device has taken its number since we looked
}

/** False when the tty went away meanwhile. */
function settle(place: Place, fd: number): boolean {
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

function isHungUp(fd: number): boolean {
  try {
    readTtySettings(fd);
    return false;
  } catch (error) {
    if (errnoCode(error) === 'EIO') return true;
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

function closeAll(fds: readonly (number | undefined)[]): void {
  for (const fd of fds) if (fd !== undefined) closeSync(fd);
}
