/** The kernel and the root file system of the `linux` board: Debian's own, fetched by apt, kept in the user's cache. */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { makeFolders } from '../base/make-folders.ts';
import { oneLine } from '../base/one-line.ts';
import { readProcess } from '../base/process-table.ts';
import { refusalOf } from '../base/program.ts';
import { linuxInitramfs } from './linux-initramfs.ts';
import { newcArchive } from './newc-archive.ts';

/** Depends on the kernel of the day: it names a package with the version in its name. */
const KERNEL_METAPACKAGE = 'linux-image-cloud-arm64';
const BUSYBOX_PACKAGE = 'busybox-static';
const ARCHITECTURE = 'arm64';

const PREFIX = 'linux-arm64-';
/** Followed by the pid of who makes one. */
const SCRATCH = '.new-';

/** Paths of what QEMU loads. */
export interface LinuxGuest {
  readonly kernel: string;
  readonly initramfs: string;
}

/** The guest that {@link prepareLinuxGuest} made. @throws {RigError} blame `unavailable` when it did not */
export function linuxGuest(env: NodeJS.ProcessEnv): LinuxGuest {
  const guest = guestIn(folderOf(env));
  if (existsSync(guest.initramfs)) return guest;
  throw new RigError(
    'unavailable',
    `linux: expected its kernel in ${cacheOf(env)}, found none; make it once with: sai-virtual-lab prepare linux`,
  );
}

/**
 * Makes the guest unless it is there: calls `fetching`, then fetches 30 MB with the host's apt and its sources, changing
 * nothing of either. Two at the same time both end well.
 *
 * @throws {RigError} blame `unavailable` when apt cannot fetch it, `config` when the cache cannot be written
 */
export async function prepareLinuxGuest(
  env: NodeJS.ProcessEnv,
  stop: AbortSignal,
  fetching: () => void = () => {},
): Promise<LinuxGuest> {
  const folder = folderOf(env);
  if (existsSync(guestIn(folder).initramfs)) return guestIn(folder);
  for (const program of ['apt-get', 'apt-cache', 'dpkg-deb']) {
    const refusal = refusalOf(program, env);
    if (refusal)
      throw new RigError('unavailable', `linux: expected a Debian host that fetches it: ${refusal.text}`);
  }
  const scratch = makeScratch(cacheOf(env));
  fetching();
  try {
    const fetched = await fetchPackages(scratch, env, stop);
    const made = guestIn(join(scratch, 'guest'));
    mkdirSync(join(scratch, 'guest'));
    renameSync(kernelIn(fetched), made.kernel);
    const initramfs = newcArchive(linuxInitramfs(readFileSync(busyboxIn(fetched))));
    writeFileSync(made.initramfs, gzipSync(initramfs));
    removeOlder(cacheOf(env), folder);
    moveUnlessThere(join(scratch, 'guest'), folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return guestIn(folder);
}

/** Where guests are kept. Source: XDG Base Directory Specification. */
function cacheOf(env: NodeJS.ProcessEnv): string {
  return join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'sai-rig', 'guests');
}

/** A guest of another recipe is another guest. */
function folderOf(env: NodeJS.ProcessEnv): string {
  const recipe = JSON.stringify([KERNEL_METAPACKAGE, BUSYBOX_PACKAGE, linuxInitramfs(Buffer.alloc(0))]);
  return join(cacheOf(env), `${PREFIX}${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`);
}

function guestIn(folder: string): LinuxGuest {
  return { kernel: join(folder, 'vmlinuz'), initramfs: join(folder, 'initramfs.gz') };
}

function makeScratch(cache: string): string {
  try {
    makeFolders(cache);
    removeAbandoned(cache);
    return mkdtempSync(join(cache, `${SCRATCH}${process.pid}-`));
  } catch (error) {
    throw new RigError('config', `${cache}: cannot make this folder: ${reasonOf(error)}`, { cause: error });
  }
}

/** Folder with the unpacked packages. The lists of a foreign architecture are kept apart from the host's. */
async function fetchPackages(scratch: string, env: NodeJS.ProcessEnv, stop: AbortSignal): Promise<string> {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'packages', 'unpacked']) {
    mkdirSync(join(scratch, folder), { recursive: true });
  }
  writeFileSync(join(scratch, 'status'), '');
  const options = [
    `APT::Architecture=${ARCHITECTURE}`,
    `APT::Architectures=${ARCHITECTURE}`,
    `Dir::State::lists=${join(scratch, 'lists')}`,
    `Dir::State::status=${join(scratch, 'status')}`,
    `Dir::Cache=${join(scratch, 'cache')}`,
    'Acquire::Languages=none',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  const packages = join(scratch, 'packages');
  const run = (program: string, ...args: string[]): Promise<string> =>
    output(program, args, { cwd: packages, env, stop });
  await run('apt-get', ...options, '-q', 'update');
  const depends = await run('apt-cache', ...options, 'depends', KERNEL_METAPACKAGE);
  const kernel = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (!kernel)
    throw new RigError(
      'unavailable',
      `${KERNEL_METAPACKAGE}: expected it to depend on a kernel: ${oneLine(depends)}`,
    );
  await run('apt-get', ...options, '-q', 'download', kernel, BUSYBOX_PACKAGE);
  const unpacked = join(scratch, 'unpacked');
  for (const file of readdirSync(packages)) await run('dpkg-deb', '--extract', file, unpacked);
  return unpacked;
}

/** What was killed while it made a guest leaves it half made. */
function removeAbandoned(cache: string): void {
  for (const name of readdirSync(cache)) {
    const pid = name.startsWith(SCRATCH) ? Number.parseInt(name.slice(SCRATCH.length), 10) : Number.NaN;
    if (pid > 0 && !readProcess(pid)) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

function kernelIn(unpacked: string): string {
  const boot = join(unpacked, 'boot');
  const name = readdirSync(boot).find((each) => each.startsWith('vmlinuz-'));
  if (!name)
    throw new RigError(
      'unavailable',
      `${KERNEL_METAPACKAGE}: expected a kernel in its boot folder, found none`,
    );
  return join(boot, name);
}

/** Debian moves its programs from /bin to /usr/bin. */
function busyboxIn(unpacked: string): string {
  const path = ['usr/bin/busybox', 'bin/busybox'].map((each) => join(unpacked, each)).find(existsSync);
  if (!path) throw new RigError('unavailable', `${BUSYBOX_PACKAGE}: expected its program, found none`);
  return path;
}

/** A lab that still runs one of them has it in its memory. */
function removeOlder(cache: string, current: string): void {
  for (const name of readdirSync(cache)) {
    const folder = join(cache, name);
    if (name.startsWith(PREFIX) && folder !== current) rmSync(folder, { recursive: true, force: true });
  }
}

function moveUnlessThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    // Somebody else was faster.
    if (errnoCode(error) !== 'ENOTEMPTY' && errnoCode(error) !== 'EEXIST') throw error;
  }
}

/** What a program prints. @throws {RigError} blame `unavailable`, with its last words, when it fails */
function output(
  program: string,
  args: readonly string[],
  { cwd, env, stop }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly stop: AbortSignal },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...env, LC_ALL: 'C' },
      signal: stop,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once('error', (error) => reject(stop.aborted ? (stop.reason as Error) : error));
    child.once('close', (status) => {
      if (status === 0) resolve(stdout);
      else {
        const why = oneLine(stderr.trim()) || `status ${status}`;
        reject(
          new RigError(
            'unavailable',
            `linux: ${program} ${args.at(-1)}: expected it to fetch the guest: ${why}`,
          ),
        );
      }
    });
  });
}
