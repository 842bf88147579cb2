import { constants } from 'node:os';
import type { Blame } from './errors.ts';

/** Exit statuses by blame. Source: sysexits.h, which the C world and shell scripts already know. */
export const EXIT_STATUS: Readonly<Record<Blame, number>> = {
  verdict: 1,
  usage: 64, // EX_USAGE
  unavailable: 69, // EX_UNAVAILABLE
  hardware: 74, // EX_IOERR
  busy: 75, // EX_TEMPFAIL, usable as CTest's SKIP_RETURN_CODE
  protocol: 76, // EX_PROTOCOL
  config: 78, // EX_CONFIG
};

/** Our own bug. Source: sysexits.h, EX_SOFTWARE. */
export const EXIT_BUG = 70;

/** A command that could not be started, and one that was not found. Source: POSIX sh, 2.8.2. */
export const EXIT_CANNOT_START = 126;
export const EXIT_NOT_FOUND = 127;

/** The status a shell gives a program that ended by `signal`. Source: POSIX sh, 2.8.2. */
export function exitStatusOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
