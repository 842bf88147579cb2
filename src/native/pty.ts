import { closeSync, constants, openSync } from 'node:fs';
import { callLibc } from './libc.ts';
import { makeRaw } from './termios.ts';

/** Source: <asm-generic/ioctls.h>. */
const TIOCGPTN = 0x80_04_54_30;
const TIOCSPTLCK = 0x40_04_54_31;

/** Both ends of a pseudo terminal. Who opened it closes both. */
export interface PtyPair {
  /** Non-blocking. What is written here arrives at the tty; closing it hangs the tty up. */
  readonly masterFd: number;
  /** Keeps the tty alive, and its settings raw, while no user has it open. */
  readonly ttyFd: number;
  /** `/dev/pts/N`; N is used again once every descriptor is closed. */
  readonly ttyPath: string;
}

/**
 * A raw pty pair without echo at 115200; nobody's controlling terminal.
 *
 * Source: pts(4), ioctl_tty(2).
 * @throws {SystemError} when the kernel has no pty left
 */
export function openPty(): PtyPair {
  const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
  const masterFd = openSync('/dev/ptmx', flags);
  try {
    callLibc('ioctl', masterFd, TIOCSPTLCK, Buffer.alloc(4));
    const index = Buffer.alloc(4);
    callLibc('ioctl', masterFd, TIOCGPTN, index);
    const ttyPath = `/dev/pts/${index.readUInt32LE()}`;
    const ttyFd = openSync(ttyPath, flags);
    makeRaw(ttyFd, { baudRate: 115_200, hangUpOnClose: false });
    return { masterFd, ttyFd, ttyPath };
  } catch (error) {
    closeSync(masterFd);
    throw error;
  }
}
