/** The one folder a host in which leases and tickets live, shared by all its users. */

import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { makeFolders } from '../base/make-folders.ts';
import { withoutUmask } from '../base/shared-file.ts';
import { statIfVisible } from '../base/visible-file.ts';

/** Made by the tmpfiles.d file of the package. */
export const SYSTEM_RUN_DIR = '/run/sai';
export const FALLBACK_PARENT = '/run/lock';

/** Group-writable; new files keep the group; nobody removes what another user made. */
const SHARED_MODE = 0o3775;

/** Source: statfs(2), <linux/magic.h>. Locks there are not this host's alone, or not locks at all. */
const FOREIGN_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff53_4d42, 'CIFS'],
  [0xfe53_4d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x6573_5546, 'FUSE'],
  [0x0102_1997, '9p'],
  [0x00c3_6400, 'Ceph'],
]);

export interface RunDir {
  readonly path: string;
  /** Lease files stand in `path` itself, named after the place. */
  readonly leases: string;
  readonly queue: string;
  /** Made by the first who has something to write there: state.ts. */
  readonly state: string;
}

/** Where leases and tickets may live, or why nowhere. */
export type RunDirSearch =
  | { readonly runDir: RunDir }
  | { readonly runDir: undefined; readonly reason: string };

export interface RunDirOptions {
  /** `$SAI_RUN_DIR`. */
  readonly configured: string | undefined;
  /** Group of the ttys, which every user of the rig is in. */
  readonly ttyGid: number | undefined;
  /** Accept network and FUSE file systems. */
  readonly force: boolean;
}

/**
 * Finds the shared folder and makes what is missing in it.
 * Never falls back to another one when the first in order exists but cannot be used: that would split the queue.
 *
 * @throws {RigError} blame `config` for a `$SAI_RUN_DIR` that cannot be used, or on a network file system
 */
export function openRunDir(options: RunDirOptions): RunDirSearch {
  const { configured, force } = options;
  if (configured !== undefined && configured !== '') return { runDir: openConfigured(configured, force) };
  const path = exists(SYSTEM_RUN_DIR) ? SYSTEM_RUN_DIR : fallbackPath(options.ttyGid);
  if (path === undefined) return { runDir: undefined, reason: `${SYSTEM_RUN_DIR}: no such folder` };
  try {
    if (!exists(path)) makeShared(path, options.ttyGid);
    if (path !== SYSTEM_RUN_DIR) refuseStrangersFolder(path, options.ttyGid);
    refuseForeignFileSystem(path, force);
    return { runDir: withFolders(path) };
  } catch (error) {
    if (error instanceof RigError) throw error;
    return { runDir: undefined, reason: `${path}: ${reasonOf(error)}` };
  }
}

/** The shared folder if there is one; makes nothing. @throws {RigError} blame `config` for a relative `$SAI_RUN_DIR` */
export function findRunDir(options: Pick<RunDirOptions, 'configured' | 'ttyGid'>): RunDir | undefined {
  if (options.configured) {
    checkAbsolute(options.configured);
    return exists(options.configured) ? foldersOf(options.configured) : undefined;
  }
  if (exists(SYSTEM_RUN_DIR)) return foldersOf(SYSTEM_RUN_DIR);
  const path = fallbackPath(options.ttyGid);
  if (path === undefined || !exists(path)) return undefined;
  try {
    refuseStrangersFolder(path, options.ttyGid);
    return foldersOf(path);
  } catch {
    return undefined; // whoever takes a device is told
  }
}

function openConfigured(path: string, force: boolean): RunDir {
  checkAbsolute(path);
  try {
    makeFolders(path);
    refuseForeignFileSystem(path, force);
    return withFolders(path);
  } catch (error) {
    if (error instanceof RigError) throw error;
    throw new RigError('config', `SAI_RUN_DIR: ${path}: cannot be used: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function checkAbsolute(path: string): void {
  if (isAbsolute(path)) return;
  throw new RigError('config', `SAI_RUN_DIR: expected an absolute path, got ${JSON.stringify(path)}`);
}

/** The folder that the users of ttys of a group make for themselves where there is no other. */
export const fallbackPathOf = (ttyGid: number): string => join(FALLBACK_PARENT, `sai-${ttyGid}`);

function fallbackPath(ttyGid: number | undefined): string | undefined {
  return ttyGid !== undefined && exists(FALLBACK_PARENT) ? fallbackPathOf(ttyGid) : undefined;
}

/**
 * Anybody may make a folder in /run/lock; only the group of the ttys can make one that belongs to it.
 * The owner of another could remove the lease files and the queue under those who use them.
 */
function refuseStrangersFolder(path: string, gid: number | undefined): void {
  const stat = lstatSync(path);
  const isOpenToAll = (stat.mode & constants.S_IWOTH) !== 0;
  if (stat.isDirectory() && stat.gid === gid && !isOpenToAll) return;
  const found = stat.isDirectory()
    ? `group ${stat.gid}${isOpenToAll ? ', writable by all' : ''}`
    : 'no folder';
  throw new Error(
    `expected a folder of group ${gid} alone, found ${found}, made by user ${stat.uid}; remove it`,
  );
}

/** Appears whole, with its rights, or not at all: two users may be the first at the same time. */
function makeShared(path: string, gid: number | undefined): void {
  const scratch = mkdtempSync(`${path}.`);
  try {
    if (gid !== undefined) chownSync(scratch, -1, gid);
    chmodSync(scratch, SHARED_MODE);
    withFolders(scratch);
    renameSync(scratch, path); // fails on a folder that is not empty, which a finished one never is
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    if (!exists(path)) throw error;
  }
}

function withFolders(path: string): RunDir {
  const runDir = foldersOf(path);
  for (const folder of [runDir.leases, runDir.queue]) {
    if (exists(folder)) continue;
    try {
      withoutUmask(() => mkdirSync(folder, SHARED_MODE));
      chmodSync(folder, SHARED_MODE); // mkdir(2) makes no folder that keeps the group
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST') throw error;
    }
  }
  for (const folder of [path, runDir.leases, runDir.queue]) {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  }
  return runDir;
}

function foldersOf(path: string): RunDir {
  return { path, leases: join(path, 'leases'), queue: join(path, 'queue'), state: join(path, 'state') };
}

function refuseForeignFileSystem(path: string, force: boolean): void {
  const name = FOREIGN_FILE_SYSTEMS.get(statfsSync(path).type >>> 0);
  if (name === undefined || force) return;
  throw new RigError(
    'config',
    `${path}: expected a local file system for leases, found ${name}; set SAI_RUN_DIR to a local folder, or use --force`,
  );
}

function exists(path: string): boolean {
  return statIfVisible(path) !== undefined;
}
