import { callLibc, SystemError } from './libc.ts';

/** Source: <linux/prctl.h>. */
const PR_SET_CHILD_SUBREAPER = 36;
/** Source: <asm-generic/resource.h>. "Max file locks" of /proc/pid/limits. */
const RLIMIT_LOCKS = 10;
/** Source: <linux/wait.h>. */
const WNOHANG = 1;

/** From now on, orphaned descendants become this process's children and not init's. Source: prctl(2). */
export function becomeSubreaper(): void {
  callLibc('prctl', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/**
 * Has every process that this one starts from now on, and all that they start, bear a mark which they keep through
 * whatever they do to their environment, session and descriptors; `readInheritedMark` reads it. It is a resource limit
 * that no kernel looks at since Linux 2.4.25. Source: getrlimit(2), RLIMIT_LOCKS.
 *
 * False where somebody has set that limit lower.
 */
export function markDescendants(mark: number): boolean {
  const limits = new BigUint64Array(2); // soft, hard
  const bytes = new Uint8Array(limits.buffer);
  callLibc('prlimit64', 0, RLIMIT_LOCKS, null, bytes);
  if ((limits[1] ?? 0n) < BigInt(mark)) return false;
  limits[0] = BigInt(mark);
  callLibc('prlimit64', 0, RLIMIT_LOCKS, bytes, null);
  return true;
}

/**
 * Takes an ended child out of the process table; false while it still runs or when it is not our child.
 * Only for strays that a subreaper inherited: Node reaps what Node started.
 */
export function reap(pid: number): boolean {
  try {
    return callLibc('waitpid', pid, null, WNOHANG) === pid;
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ECHILD') return false;
    throw error;
  }
}
