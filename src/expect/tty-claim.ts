/** Whose tty it is when no lease of ours says so: ours for as long as we hold its flock, as for tio or picocom. */

import { closeSync, constants, openSync, type Stats, statSync } from 'node:fs';
import { describeProcess } from '../base/describe-process.ts';
import { errnoCode } from '../base/errors.ts';
import { bearsFlock, readFlocks } from '../base/proc-locks.ts';
import { readProcess } from '../base/process-table.ts';
import { tryFlock } from '../native/flock.ts';
import { findHeldLease } from '../tty/held-leases.ts';
import { ENV } from '../wire/env.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import { awaitTurn } from './await-turn.ts';

/** A foreign unlock gives no event. */
const LOOK_EACH_MS = 100;

export interface ClaimOptions {
  /** As messages name the tty. */
  readonly label: string;
  readonly env: NodeJS.ProcessEnv;
  readonly until: AbortSignal;
  /** Told once, when somebody else has it. */
  readonly onWait: (holder: string) => void;
}

/**
 * Waits until nobody else has the tty flocked, or leased while its flock is lent to a tool, and holds that lock, on a descriptor of its own that no stream gets.
 * A lock that one of our ancestors holds (`flock TTY sai-expect …`, another `sai-device`) was taken for us.
 * A tty that cannot be looked at is left to whoever opens it to complain about.
 *
 * @throws {RigError} blame `busy`, naming the holder, when `until` is aborted by {@link TimeUp}
 * @throws the reason of `until` otherwise
 */
export async function claimTty(
  path: string,
  { label, env, until, onWait }: ClaimOptions,
): Promise<Disposable> {
  return await awaitTurn(() => tryClaim(path, env), {
    lookEachMs: LOOK_EACH_MS,
    until,
    onWait,
    whenLate: (holder) => `${label}: expected a free tty, ${holder} has locked it`,
  });
}

const NOTHING_HELD: Disposable = { [Symbol.dispose]() {} };

/** Who has it instead, in words. A tty that is locked is not even opened: that would move its modem lines. */
function tryClaim(path: string, env: NodeJS.ProcessEnv): Disposable | string {
  const node = nodeOf(path);
  if (!node) return NOTHING_HELD;
  const holder = readFlocks().holderOf(node);
  if (holder !== undefined) return isOurs(holder, path) ? NOTHING_HELD : describeProcess(holder);
  const lease = leaseOf(node, env);
  if (lease) return isOurs(lease.holderPid, path) ? NOTHING_HELD : describeProcess(lease.holderPid);
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

/** Source: where `sai-device` keeps its leases. */
function leaseOf(node: Stats, env: NodeJS.ProcessEnv): LeaseRecord | undefined {
  const configured = env[ENV.runDir];
  const folders = configured ? [configured] : ['/run/sai', `/run/lock/sai-${node.gid}`];
  const isMeant = (path: string): boolean => {
    const found = nodeOf(path);
    return found?.dev === node.dev && found.ino === node.ino;
  };
  return folders.map((folder) => findHeldLease(folder, isMeant)).find((lease) => lease !== undefined);
}

function nodeOf(path: string): Stats | undefined {
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
