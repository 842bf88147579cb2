/** Whose tty it is when no lease of ours says so: ours for as long as we hold its flock, as for tio or picocom. */

import { closeSync, constants, openSync, statSync } from 'node:fs';
import { describeProcess } from '../base/describe-process.ts';
import { errnoCode } from '../base/errors.ts';
import { bearsFlock, type FileId, readFlocks } from '../base/proc-locks.ts';
import { readProcess } from '../base/process-table.ts';
import { tryFlock } from '../native/flock.ts';
import { awaitTurn } from './await-turn.ts';

/** A foreign unlock gives no event. */
const LOOK_EACH_MS = 100;

/**
 * Waits until nobody else has the tty flocked, and holds that lock, on a descriptor of its own that no stream gets.
 * A lock that one of our ancestors holds (`flock TTY sai-expect …`, another `sai-device`) was taken for us.
 * A tty that cannot be looked at is left to whoever opens it to complain about.
 *
 * @throws {RigError} blame `busy`, naming the holder, when `until` is aborted by {@link TimeUp}
 * @throws the reason of `until` otherwise
 */
export async function claimTty(
  path: string,
  label: string,
  until: AbortSignal,
  onWait: (holder: string) => void,
): Promise<Disposable> {
  return await awaitTurn(() => tryClaim(path), {
    lookEachMs: LOOK_EACH_MS,
    until,
    onWait,
    whenLate: (holder) => `${label}: expected a free tty, ${holder} has locked it`,
  });
}

const NOTHING_HELD: Disposable = { [Symbol.dispose]() {} };

/** Who has it instead, in words. A tty that is locked is not even opened: that would move its modem lines. */
function tryClaim(path: string): Disposable | string {
  const node = nodeOf(path);
  if (!node) return NOTHING_HELD;
  const holder = readFlocks().holderOf(node);
  if (holder !== undefined) return isOurs(holder, path) ? NOTHING_HELD : describeProcess(holder);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch {
    return NOTHING_HELD; // whoever opens the console tells why
  }
  if (tryFlock(fd)) return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  return isOurs(undefined, path) ? NOTHING_HELD : 'another program';
}

function nodeOf(path: string): FileId | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (errnoCode(error) === undefined) throw error;
    return undefined;
  }
}

/** Whether an ancestor took the lock, or has the open file that bears it, as a shell does after `flock 9`. */
function isOurs(holder: number | undefined, path: string): boolean {
  const node = nodeOf(path);
  for (let pid = process.ppid; pid > 1; pid = readProcess(pid)?.ppid ?? 0) {
    if (pid === holder || (node && bearsFlock(pid, node))) return true;
  }
  return false;
}
