/** Takes the locks of one device: all of its places or none, the shared lease file of each before its node. */

import { closeSync } from 'node:fs';
import { readFlocks } from '../base/proc-locks.ts';
import { type Hindrance, LockedPlace, openAndFlock, settle, tryLockLeaseFile } from './locked-place.ts';
import type { Place } from './place.ts';
import type { RunDir } from './run-dir.ts';

/** Why a device could not be locked: a lease of ours, a program that knows only the tty's lock, or it went away. */
export interface LockRefusal {
  readonly lock?: undefined;
  readonly by: 'lease' | 'foreigner' | 'unplug';
}

/** The locks of one device; they live until `release`, or until every process that got the descriptors has ended. */
export class DeviceLock {
  readonly places: readonly LockedPlace[];
  #released = false;

  constructor(places: readonly LockedPlace[]) {
    this.places = places;
  }

  /** Open lease files, for the record of who holds the device. */
  get leaseDescriptors(): number[] {
    return this.places.flatMap((each) => each.leaseDescriptors);
  }

  get nodeDescriptors(): number[] {
    return this.places.flatMap((each) => each.nodeDescriptors);
  }

  /** Lets go at once, also for a guard that still has the descriptors. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const place of [...this.places].reverse()) place.release();
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
): { readonly lock: DeviceLock } | LockRefusal {
  const leaseFds = runDir ? tryLockLeaseFiles(places, runDir) : places.map(() => undefined);
  if (!leaseFds) return { by: 'lease' };
  const nodeFds: number[] = [];
  const refused = (by: LockRefusal['by']): LockRefusal => {
    closeAll(nodeFds);
    closeAll(leaseFds);
    return { by };
  };
  try {
    // Opening a tty moves DTR and resets many boards: a tty that somebody works with is not even opened.
    const flocks = readFlocks();
    if (places.some((place) => flocks.holderOf(place) !== undefined)) return refused('foreigner');
    const locked: LockedPlace[] = [];
    for (const [index, place] of places.entries()) {
      const nodeFd = openAndFlock(place);
      if (typeof nodeFd !== 'number') return refused(refusalBy(nodeFd));
      nodeFds.push(nodeFd);
      locked.push(new LockedPlace(place, nodeFd, leaseFds[index]));
    }
    for (const [index, place] of places.entries()) {
      if (!settle(place, nodeFds[index] ?? -1)) return refused('unplug');
    }
    return { lock: new DeviceLock(locked) };
  } catch (error) {
    refused('foreigner');
    throw error;
  }
}

function refusalBy({ by }: Hindrance): LockRefusal['by'] {
  return by === 'absence' ? 'unplug' : by;
}

function tryLockLeaseFiles(places: readonly Place[], runDir: RunDir): number[] | undefined {
  const fds: number[] = [];
  try {
    for (const place of places) {
      const fd = tryLockLeaseFile(place, runDir);
      if (fd === 'lease') {
        closeAll(fds);
        return undefined;
      }
      fds.push(fd);
    }
    return fds;
  } catch (error) {
    closeAll(fds);
    throw error;
  }
}

function closeAll(fds: readonly (number | undefined)[]): void {
  for (const fd of fds) if (fd !== undefined) closeSync(fd);
}
