/**
 * What the rig knows of its devices beyond who has them now: quarantines, fences, how long leases lasted. One small
 * file a host. Readers take no lock: the file is replaced as a whole.
 */

import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as v from 'valibot';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { readShared, withoutUmask } from '../base/shared-file.ts';
import { parse } from '../base/validate.ts';
import { statIfVisible } from '../base/visible-file.ts';
import type { RunDir } from './run-dir.ts';

const Integer = v.pipe(v.number(), v.integer());

/** Why nobody gets a device, who said so, and when (milliseconds since the epoch). */
export const Quarantine = v.strictObject({ reason: v.string(), by: v.string(), atMs: Integer });
export type Quarantine = v.InferOutput<typeof Quarantine>;

const DeviceState = v.strictObject({
  quarantine: v.exactOptional(Quarantine),
  /** Of the last lease that ended; 0 before the first. */
  fence: Integer,
  /** The last ones that ended, oldest first. */
  leases: v.array(v.strictObject({ durationMs: Integer, fence: Integer })),
});
export type DeviceState = v.InferOutput<typeof DeviceState>;

const StateFile = v.strictObject({
  version: v.literal(1),
  /** By the device's name; each is parsed by itself, because valibot drops one that is called `constructor`. */
  devices: v.custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'expected an object',
  ),
});

export interface RigState {
  readonly devices: ReadonlyMap<string, DeviceState>;
  /** One line, when there is a file that cannot be used: then no device is known. */
  readonly damage: string | undefined;
}

/** A device of which nothing is known. */
const UNKNOWN: DeviceState = { fence: 0, leases: [] };

/** A file that is read whole at every look stays small: a host with more devices forgets who was used longest ago. */
const MAX_DEVICES = 200;

/**
 * Without the sticky bit that the run folder has: in a sticky folder nobody may replace the file, or remove the lock,
 * of another user who was killed. Who is in the group may write the state anyway.
 */
const FOLDER_MODE = 0o2775;

const NEXT_FILE = 'next-';

/** Reasons why a file cannot be read that say nothing about the file. */
const NOT_NOW: readonly string[] = ['EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ENOMEM', 'EIO'];

/** Between two tries; a turn lasts about a millisecond. At random, so that many do not try in step. */
const SHORTEST_PAUSE_MS = 3;
const LONGEST_PAUSE_MS = 20;

export const stateFilePath = (runDir: RunDir): string => join(runDir.state, 'state.json');
const damagedFilePath = (runDir: RunDir): string => join(runDir.state, 'damaged.json');
const turnPath = (runDir: RunDir): string => join(runDir.state, 'lock');

/** As it is now. A file that cannot be used counts as empty, and is named. */
export function readState(runDir: RunDir | undefined): RigState {
  try {
    return { devices: runDir ? load(runDir) : new Map(), damage: undefined };
  } catch (error) {
    const meaning = isNotNow(error) ? 'no quarantine is known' : 'taken for empty: set quarantines again';
    return { devices: new Map(), damage: `${reasonOf(error)}; ${meaning}` };
  }
}

export interface ChangeOptions {
  /** How long others may have their turn before us, and how long a dead one's is waited for. */
  readonly patienceMs: number;
}

/**
 * Changes what is known of one device, after everything that others have written and before what they write next.
 * `change` may be called again when somebody came in between; nothing is written when it answers what it was given.
 * Answers what was known before.
 *
 * @throws {RigError} blame `unavailable` when it cannot be written
 */
export async function changeState(
  runDir: RunDir,
  device: string,
  change: (before: DeviceState) => DeviceState,
  { patienceMs }: ChangeOptions,
): Promise<DeviceState> {
  const path = stateFilePath(runDir);
  const giveUpMs = performance.now() + patienceMs;
  try {
    const { tryTakeTurn } = await import('./state-lock.ts');
    while (performance.now() < giveUpMs) {
      makeFolder(runDir.state);
      const turn = await tryTakeTurn(turnPath(runDir));
      try {
        const before = turn && replace(runDir, device, change);
        if (before) return before;
      } finally {
        await turn?.end();
      }
      await delay(SHORTEST_PAUSE_MS + Math.random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS));
    }
  } catch (error) {
    throw new RigError('unavailable', `${path}: cannot be written: ${reasonOf(error)}`, { cause: error });
  }
  throw new RigError('unavailable', `${path}: cannot be written: others wrote all the time; try again`);
}

/**
 * One turn, in one go. Undefined when somebody had taken it over meanwhile, because we had been stopped for long.
 *
 * Whoever writes first makes its own next file, then removes those of all others, and only then reads. So of two who
 * both believe to have the turn, the one whose file is older cannot put it in place any more, wherever it was stopped.
 */
function replace(
  runDir: RunDir,
  device: string,
  change: (before: DeviceState) => DeviceState,
): DeviceState | undefined {
  const path = stateFilePath(runDir);
  const name = `${NEXT_FILE}${process.pid}-${Math.random().toString(36).slice(2)}`;
  const next = join(runDir.state, name);
  const fd = openSync(next, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o664);
  try {
    fchmodSync(fd, 0o664); // whatever the umask is
    for (const other of readdirSync(runDir.state)) {
      if (other.startsWith(NEXT_FILE) && other !== name) rmSync(join(runDir.state, other), { force: true });
    }
    const devices = loadOrSetAside(runDir);
    const before = devices.get(device) ?? UNKNOWN;
    const after = change(before);
    if (after === before) return before;
    writeFileSync(fd, textOf(new Map([...devices, [device, after]])));
    renameSync(next, path);
    return before;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  } finally {
    closeSync(fd);
    rmSync(next, { force: true });
  }
}

/** @throws for a file that is not one of ours, naming it; the system's error when it cannot be read now */
function load(runDir: RunDir): Map<string, DeviceState> {
  const path = stateFilePath(runDir);
  let text: string;
  try {
    text = readShared(path);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return new Map();
    throw error;
  }
  const { devices } = parse(StateFile, parseJson(text, path), path);
  const known = Object.entries(devices);
  return new Map(known.map(([name, value]) => [name, parse(DeviceState, value, `${path}: devices.${name}`)]));
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RigError('config', `${path}: expected JSON: ${reasonOf(error)}`, { cause: error });
  }
}

/** What is damaged is kept for who wants to know; what merely cannot be read now is left as it is. */
function loadOrSetAside(runDir: RunDir): Map<string, DeviceState> {
  try {
    return load(runDir);
  } catch (error) {
    if (isNotNow(error)) throw error;
    renameSync(stateFilePath(runDir), damagedFilePath(runDir));
    return new Map();
  }
}

function isNotNow(error: unknown): boolean {
  const code = errnoCode(error);
  return code !== undefined && NOT_NOW.includes(code);
}

function textOf(devices: ReadonlyMap<string, DeviceState>): string {
  const kept = [...devices]
    .sort(([, a], [, b]) => importance(b) - importance(a))
    .slice(0, MAX_DEVICES)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify({ version: 1, devices: Object.fromEntries(kept) })}\n`;
}

function importance({ quarantine, fence }: DeviceState): number {
  return quarantine ? Number.POSITIVE_INFINITY : fence;
}

function makeFolder(path: string): void {
  if (statIfVisible(path)) return;
  try {
    withoutUmask(() => mkdirSync(path, FOLDER_MODE));
    chmodSync(path, FOLDER_MODE); // mkdir(2) makes no folder that keeps the group
  } catch (error) {
    if (!statIfVisible(path)) throw error; // else somebody was faster
  }
}
