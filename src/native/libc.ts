/** The one place that calls C: a handful of system calls that Node.js does not have, through koffi. */

import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import type koffi from 'koffi';

/** What a failed system call says; shaped like Node's own system errors. */
export class SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${code}: ${syscall}`);
    this.name = 'SystemError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

type NativeFunction = (...args: (number | Uint8Array | null)[]) => number;

const PROTOTYPES = {
  flock: 'int flock(int fd, int operation)',
  inotify_add_watch: 'int inotify_add_watch(int fd, const void *path, unsigned int mask)',
  inotify_init1: 'int inotify_init1(int flags)',
  ioctl: 'int ioctl(int fd, unsigned long request, void *argument)',
  poll: 'int poll(void *fds, unsigned long count, int timeout)',
  prctl: 'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
  pipe2: 'int pipe2(int *fds, int flags)',
  prlimit64: 'int prlimit64(int pid, int resource, void *new_limit, void *old_limit)',
  send: 'long send(int fd, const void *bytes, unsigned long length, int flags)',
  waitpid: 'int waitpid(int pid, void *status, int options)',
} as const;

type Koffi = Pick<typeof koffi, 'errno' | 'load'>;

let library: Koffi | undefined;
const loaded = new Map<string, NativeFunction>();

/**
 * Calls a libc function that answers -1 and sets errno on failure.
 * Blocks the whole process for as long as the call does: only calls that return at once are made.
 *
 * @throws {SystemError}
 */
export function callLibc(name: keyof typeof PROTOTYPES, ...args: (number | Uint8Array | null)[]): number {
  const result = bind(name)(...args);
  if (result === -1) throw new SystemError(name, loadKoffi().errno());
  return result;
}

function bind(name: keyof typeof PROTOTYPES): NativeFunction {
  let bound = loaded.get(name);
  if (!bound) {
    bound = loadKoffi().load(null).func(PROTOTYPES[name]) as NativeFunction;
    loaded.set(name, bound);
  }
  return bound;
}

/**
 * The binary that koffi's own entry point ends up with. That one reads the ELF headers of Node.js to choose it, at
 * every start anew, for 3 ms of the 30 that a command has; it is asked where the guess does not load (musl, ARMv7).
 */
function loadKoffi(): Koffi {
  if (library) return library;
  const require = createRequire(import.meta.url);
  try {
    const { arch } = process;
    library = require(`@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`) as Koffi;
  } catch {
    library = require('koffi') as Koffi;
  }
  return library;
}
