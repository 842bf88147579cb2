/** Which files are flocked, as /proc/locks shows it: looking that neither opens nor locks anything. */

import { close, openSync, read, readdirSync, readFileSync } from 'node:fs';

/** A file as the kernel knows it. */
export interface FileId {
  /** `st_dev`. */
  readonly dev: number;
  readonly ino: number;
}

/** The flocks of one moment. */
export interface FlockTable {
  /**
   * Pid of the process that took the flock (it may have ended: the lock is its open file's); 0 when the kernel
   * does not say. Undefined when the file is not flocked, or by somebody whom this pid namespace does not show.
   */
  holderOf(file: FileId): number | undefined;
}

/** When there is nobody to ask about, or no time to ask. */
export const NO_FLOCKS: FlockTable = { holderOf: () => undefined };

/**
 * The kernel may let everything that locks a file come to rest first, which takes some ten milliseconds, waiting; not
 * when anybody has looked a moment before. Source: proc(5), /proc/locks; Linux fs/locks.c, locks_start.
 */
export function readFlocks(): FlockTable {
  const holders = new Map<string, number>();
  for (const line of readFileSync('/proc/locks', 'latin1').split('\n')) {
    // `1: FLOCK  ADVISORY  WRITE 6605 fe:00:2146461 0 EOF`; a waiter has `->` in front and holds nothing.
    const match = /^\d+: FLOCK\s+\S+\s+\S+\s+(-?\d+) ([0-9a-f]+:[0-9a-f]+:\d+) /.exec(line);
    if (match?.[1] && match[2]) holders.set(match[2], Math.max(0, Number(match[1])));
  }
  return { holderOf: (file) => holders.get(keyOf(file)) };
}

/** For whoever will look in a moment, also in another process: begins that wait in a thread. Never fails. */
export function expectLook(): void {
  let fd: number;
  try {
    fd = openSync('/proc/locks', 'r'); // at once: a callback would have to wait for what the caller does next
  } catch {
    return; // the look that counts says what is wrong
  }
  read(fd, Buffer.alloc(1), 0, 1, null, () => close(fd, () => {}));
}

/**
 * Whether a process has an open file that bears the flock of `file`, whoever took it: as a shell does after `flock 9`,
 * and a daemon that was forked by who took it. False for what is gone, or somebody else's.
 * Source: proc(5), `lock:` lines of /proc/pid/fdinfo.
 */
export function bearsFlock(pid: number, file: FileId): boolean {
  const key = keyOf(file);
  try {
    return readdirSync(`/proc/${pid}/fdinfo`).some((fd) =>
      new RegExp(`^lock:.* FLOCK .* ${key} 0 EOF$`, 'm').test(
        readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'),
      ),
    );
  } catch {
    return false; // it ended meanwhile, or is not ours to look into
  }
}

function keyOf({ dev, ino }: FileId): string {
  const { major, minor } = splitDeviceNumber(dev);
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  return `${hex(major)}:${hex(minor)}:${ino}`;
}

/** Source: glibc <sys/sysmacros.h>; the upper halves are only used by numbers over 32 bits. */
export function splitDeviceNumber(dev: number): { readonly major: number; readonly minor: number } {
  return { major: (dev >>> 8) & 0xfff, minor: (dev & 0xff) | ((dev >>> 12) & 0xfff00) };
}
