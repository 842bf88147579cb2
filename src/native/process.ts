import { callLibc, SystemError } from './libc.ts';

/** Source: <linux/prctl.h>. */
const PR_SET_CHILD_SUBREAPER = 36;
/** Source: <linux/wait.h>. */
const WNOHANG = 1;

/** From now on, orphaned descendants become this process's children and not init's. Source: prctl(2). */
export function becomeSubreaper(): void {
  callLibc('prctl', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
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
