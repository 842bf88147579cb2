/** Which tty is meant: an index or a name of the leased device, or any path. */

import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { isAlive } from '../base/process-table.ts';
import { didYouMean, parse } from '../base/validate.ts';
import type { ConsoleLockPlace } from '../tty/console-lock.ts';
import type { FollowOptions } from '../tty/followed-console.ts';
import type { CrashConfig } from '../wire/crash.ts';
import { ENV, ttyVariable } from '../wire/env.ts';
import {
  consoleLockFile,
  LEASE_RECORD_FILE,
  type LeasedDevice,
  LeaseRecord,
  unreadBytesFile,
} from '../wire/lease.ts';
import { NoUnreadBytes, type UnreadBytes, UnreadFile } from './unread-bytes.ts';

const DEFAULT_BAUD_RATE = 115_200;

/** One tty, and where its lease keeps things. */
export interface TargetTty {
  readonly path: string;
  /** As messages name it: `tty0 (/dev/ttyUSB0)`, or the path alone without a lease. */
  readonly label: string;
  /** What else it is called by: its index and name in the lease. */
  readonly names: readonly string[];
  /** What the lease says, else 115200. */
  readonly baudRate: number;
  readonly hangUpOnClose: 'keep' | 'off';
  /** Whether our lease keeps others from the tty, or nobody does yet. */
  readonly heldBy: 'the lease' | 'nobody';
  readonly lock: ConsoleLockPlace | undefined;
  /** To be used by who holds `lock` only. */
  readonly unread: UnreadBytes;
  /** What counts as a crash of its device, where the config says so. */
  readonly crash: CrashConfig | undefined;
  /** How it may go away and come back, where it may. */
  readonly follow: Pick<FollowOptions, 'withinMs' | 'lockedBy'> | undefined;
  /** Which of the log proxies it belongs to: its index, else the one after those of the leased device. */
  readonly logIndex: number;
}

/** What the environment says about the lease this process runs under. */
interface Lease {
  readonly folder: string;
  readonly record: LeaseRecord | undefined;
}

/** How whoever names a tty does so, for messages. */
export interface TtyWords {
  readonly asked: (wanted: string) => string;
  /** What to do without a lease. */
  readonly otherwise: string;
}

const ON_COMMAND_LINE: TtyWords = { asked: (wanted) => `--tty ${wanted}`, otherwise: 'give --tty PATH' };

/**
 * The tty that `wanted` means; opens none.
 *
 * @throws {RigError} blame `usage` for an index or name that there is not, `unavailable` when the lease is over
 */
export function resolveTty(
  wanted: string,
  env: NodeJS.ProcessEnv,
  words: TtyWords = ON_COMMAND_LINE,
): TargetTty {
  const lease = currentLease(env);
  const ttys = leasedTtys(env, lease);
  if (wanted.includes('/')) {
    const index = indexOfTty(ttys, wanted);
    return index < 0 ? plainTty(wanted, env, ttys.length) : targetTty(index, wanted, env, lease);
  }
  const index = /^\d+$/.test(wanted) ? Number(wanted) : leasedNames(lease).indexOf(wanted);
  const path = ttys[index];
  if (path === undefined) throw noSuchTty({ wanted, index, ttys, lease, words });
  return targetTty(index, path, env, lease);
}

/** A tty has many names: by its node, by its adapter, by where it is plugged in. */
function indexOfTty(ttys: readonly string[], path: string): number {
  const wanted = nodeOf(path);
  return ttys.findIndex((each) => each === path || (wanted !== undefined && nodeOf(each) === wanted));
}

function nodeOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}-${ino}`;
  } catch {
    return undefined; // opening it is what tells why
  }
}

/** Ttys that Sai's own mode reads: the first, and the second where there is one. */
export function defaultTtys(env: NodeJS.ProcessEnv): string[] {
  return [ttyVariable(0), ttyVariable(1)].flatMap((name, index) => (env[name] ? [String(index)] : []));
}

function currentLease(env: NodeJS.ProcessEnv): Lease | undefined {
  const folder = env[ENV.deviceLease];
  if (!folder) return undefined;
  const path = join(folder, LEASE_RECORD_FILE);
  try {
    statSync(folder);
  } catch (error) {
    throw new RigError(
      'unavailable',
      `${folder}: expected the folder of the lease that this command runs under, found none (${errnoCode(error)}); the lease has ended`,
      { cause: error },
    );
  }
  try {
    return { folder, record: parse(LeaseRecord, JSON.parse(readFileSync(path, 'utf8')), path, 'protocol') };
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return { folder, record: undefined };
    if (error instanceof RigError) throw error;
    throw new RigError('protocol', `${path}: expected a lease's record: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** By index. The variables win over the record: they are what the command was given. */
function leasedTtys(env: NodeJS.ProcessEnv, lease: Lease | undefined): string[] {
  const ttys: string[] = recordedTtys(lease).map(({ path }) => path);
  for (let index = 0; env[ttyVariable(index)]; index++) ttys[index] = env[ttyVariable(index)] ?? '';
  return ttys;
}

/** By index; undefined where the config gives none. */
function leasedNames(lease: Lease | undefined): (string | undefined)[] {
  return recordedTtys(lease).map(({ name }) => name);
}

/** The device that the tty of that index belongs to. */
function deviceOf(index: number, lease: Lease | undefined): LeasedDevice | undefined {
  let first = 0;
  for (const device of lease?.record?.devices ?? []) {
    if (index < first + device.ttys.length) return device;
    first += device.ttys.length;
  }
  return undefined;
}

/** Of all its devices: those of the first are 0, 1, …, and those of the next one follow on. */
function recordedTtys(lease: Lease | undefined): LeasedDevice['ttys'] {
  const [first, ...others] = lease?.record?.devices ?? [];
  const withRole = others.flatMap(({ role, ttys }) =>
    ttys.map((tty, index) => ({ ...tty, name: `${role}.${tty.name ?? index}` })),
  );
  return [...(first?.ttys ?? []), ...withRole];
}

function noSuchTty({
  wanted,
  index,
  ttys,
  lease,
  words,
}: {
  readonly wanted: string;
  readonly index: number;
  readonly ttys: readonly string[];
  readonly lease: Lease | undefined;
  readonly words: TtyWords;
}): RigError {
  if (ttys.length === 0) {
    const variable = ttyVariable(Math.max(0, index));
    return new RigError(
      'usage',
      `${words.asked(wanted)}: expected ${variable} to name a tty, it is not set; run under sai-device, or ${words.otherwise}`,
    );
  }
  const names = leasedNames(lease).filter((name) => name !== undefined);
  const known = [...ttys.map((_path, index) => String(index)), ...names];
  return new RigError(
    'usage',
    `${words.asked(wanted)}: expected one of ${known.join(', ')}, or a path${didYouMean(wanted, names)}`,
  );
}

function targetTty(index: number, path: string, env: NodeJS.ProcessEnv, lease: Lease | undefined): TargetTty {
  const name = leasedNames(lease)[index];
  const names = [String(index), ...(name === undefined ? [] : [name])];
  if (!lease) return { ...plainTty(path, env, index), label: `tty${index} (${path})`, names };
  return {
    path,
    label: `tty${index} (${path})`,
    names,
    baudRate: recordedTtys(lease)[index]?.baudRate ?? DEFAULT_BAUD_RATE,
    hangUpOnClose: 'keep',
    heldBy: 'the lease',
    lock: { path: join(lease.folder, consoleLockFile(index)), atRelease: 'keep' },
    unread: new UnreadFile(join(lease.folder, unreadBytesFile(index))),
    crash: deviceOf(index, lease)?.crash,
    follow: followOf(index, lease),
    logIndex: index,
  };
}

function followOf(index: number, lease: Lease): TargetTty['follow'] {
  const device = deviceOf(index, lease);
  if (!lease.record || device?.reappearMs === undefined) return undefined;
  const { holderPid, holderStartTicks } = lease.record;
  // From inside a pid namespace the kernel shows no lock of who is outside.
  const isLockSeen = isAlive({ pid: holderPid, startTicks: holderStartTicks });
  const isLocked = device.lend !== 'always' && recordedTtys(lease)[index]?.locked !== false;
  return { withinMs: device.reappearMs, lockedBy: isLocked && isLockSeen ? 'the lease' : 'nobody' };
}

function plainTty(path: string, env: NodeJS.ProcessEnv, logIndex: number): TargetTty {
  return {
    path,
    label: path,
    names: [],
    baudRate: DEFAULT_BAUD_RATE,
    hangUpOnClose: 'off',
    heldBy: 'nobody',
    lock: plainLockPlace(path, env),
    unread: new NoUnreadBytes(),
    crash: undefined,
    follow: undefined,
    logIndex,
  };
}

/** One file for all names of a tty, in a folder that every user of the host shares; undefined for a missing tty. */
function plainLockPlace(path: string, env: NodeJS.ProcessEnv): ConsoleLockPlace | undefined {
  const node = nodeOf(path);
  if (node === undefined) return undefined;
  return { path: join(lockFolder(env), `sai-console-${node}.lock`), atRelease: 'remove' };
}

function lockFolder(env: NodeJS.ProcessEnv): string {
  const runDir = env[ENV.runDir];
  if (runDir) return runDir;
  return ['/run/sai', '/run/lock'].find((folder) => isWritable(folder)) ?? tmpdir();
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The same, as the one of `known` that it is by another name. @throws as {@link resolveTty} */
export function resolveAmong(wanted: string, known: readonly TargetTty[], env: NodeJS.ProcessEnv): TargetTty {
  const tty = resolveTty(wanted, env);
  return known.find(({ path }) => realPathOf(path) === realPathOf(tty.path)) ?? tty;
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // opening it tells why
  }
}
