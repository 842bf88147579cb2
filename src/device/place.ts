/** A place is one thing that can be locked: a tty, or another file that stands for a board. */

import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { errnoCode, reasonOf } from '../base/errors.ts';
import { type FileId, splitDeviceNumber } from '../base/proc-locks.ts';
import { statIfVisible } from '../base/visible-file.ts';
import type { HostFiles } from './host-files.ts';
import { type Login, permissionCure } from './permission.ts';
import type { PooledDevice, PooledTty } from './pool.ts';
import { physicalName } from './sysfs-usb.ts';

/**
 * Character devices that are ptys. Each mount of devpts has a pty 0 of its own, so a number names none of them. Their
 * inodes do: a node made by mknod is no second one of a pty, because its open fails with EIO.
 * Source: Linux Documentation/admin-guide/devices.txt, Documentation/filesystems/devpts.rst.
 */
const FIRST_PTY_MAJOR = 136;
const LAST_PTY_MAJOR = 143;

/** Of what stands where the config has a tty. */
export const NO_TTY = 'expected a tty, found another kind of file';

export interface Place extends FileId {
  /** As configured. */
  readonly path: string;
  /**
   * Same for every user and container of the host, and for a board that was unplugged and plugged in again;
   * usable as a file name. Places are locked in the order of their names.
   */
  readonly name: string;
  readonly rdev: number;
  /** How to set it once locked; undefined for what is not a tty of the device. */
  readonly tty: PooledTty | undefined;
}

/** Why a place cannot be used, with the cure. */
export interface PlaceProblem {
  /** `config` where no plugging in and no permission makes it right. */
  readonly blame: 'config' | 'hardware';
  readonly path: string;
  readonly text: string;
}

export type Survey =
  | { readonly places: readonly Place[]; readonly problem?: undefined }
  | { readonly places?: undefined; readonly problem: PlaceProblem };

/** The places of a device, sorted, each once; or the first that cannot be used. Opens nothing. */
export function surveyPlaces(device: PooledDevice): Survey {
  const places = new Map<string, Place>();
  for (const { path, tty } of lockables(device)) {
    const found = survey(path, tty);
    if ('text' in found) return { problem: found };
    if (!places.has(found.name)) places.set(found.name, found);
  }
  return { places: [...places.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** The group of the first tty that is there: whoever may use the rig is in it. */
export function ttyGidOf(devices: readonly PooledDevice[]): number | undefined {
  for (const { ttys } of devices) {
    for (const { path } of ttys) {
      const stat = statIfVisible(path);
      if (stat) return stat.gid;
    }
  }
  return undefined;
}

/** The paths among what {@link claimsOf} lists. */
const PATH_CLAIM = 'path:';

/** What a ticket lists, so that waiters with other configs can tell whether they want the same. */
export function claimsOf(
  device: PooledDevice,
  places: readonly Place[] = surveyPlaces(device).places ?? [],
): string[] {
  return [...lockables(device).map(({ path }) => `${PATH_CLAIM}${path}`), ...places.map(({ name }) => name)];
}

/** The same, taken apart. */
export function readClaims(claims: readonly string[]): {
  readonly paths: string[];
  readonly names: string[];
} {
  const isPath = (claim: string): boolean => claim.startsWith(PATH_CLAIM);
  return {
    paths: claims.filter((claim) => isPath(claim)).map((claim) => claim.slice(PATH_CLAIM.length)),
    names: claims.filter((claim) => !isPath(claim)),
  };
}

function lockables(device: PooledDevice): { path: string; tty: PooledTty | undefined }[] {
  return [
    ...device.ttys.filter((tty) => tty.locked).map((tty) => ({ path: tty.path, tty })),
    ...device.locks.map((path) => ({ path, tty: undefined })),
  ];
}

/** What stands at a configured path now, or why nothing usable does. Opens nothing. */
export function survey(path: string, tty: PooledTty | undefined): Place | PlaceProblem {
  let stat: Stats;
  try {
    stat = statSync(path);
    accessSync(path, tty ? constants.R_OK | constants.W_OK : constants.R_OK);
  } catch (error) {
    const what = tty ? 'tty' : 'file';
    const { problem, cure } = whyUnusable(path, what, errnoCode(error) ?? reasonOf(error));
    return { blame: 'hardware', path, text: `${path}: ${problem}; ${cure}` };
  }
  if (tty && !stat.isCharacterDevice())
    return { blame: 'config', path, text: `${path}: ${NO_TTY}; correct the devices config` };
  return { path, name: nameOf(stat), dev: stat.dev, ino: stat.ino, rdev: stat.rdev, tty };
}

/** What a system error says of a path, and what to do. */
export function whyUnusable(
  path: string,
  what: 'tty' | 'file',
  code: string,
  login?: Login,
  files?: HostFiles,
): { readonly problem: string; readonly cure: string } {
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') {
    return { problem: `no such ${what}`, cure: 'plug the board in, or correct the config' };
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return { problem: 'no permission', cure: permissionCure(path, what, login, files) };
  }
  return { problem: `cannot be used: ${code}`, cure: 'correct the config' };
}

function nameOf(stat: Stats): string {
  if (!stat.isCharacterDevice()) return inodeName(stat);
  const { major, minor } = splitDeviceNumber(stat.rdev);
  if (major >= FIRST_PTY_MAJOR && major <= LAST_PTY_MAJOR) return inodeName(stat);
  return physicalName(`${major}:${minor}`) ?? `char-${major}-${minor}`;
}

function inodeName(stat: Stats): string {
  return `inode-${stat.dev.toString(16)}-${stat.ino}`;
}
