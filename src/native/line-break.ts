/** The break condition of a serial line, and what has to leave a tty before it. */

import { callLibc, SystemError } from './libc.ts';

/** Source: <asm-generic/ioctls.h>. */
const TIOCOUTQ = 0x5411;
const TIOCSBRK = 0x5427;
const TIOCCBRK = 0x5428;
const TIOCSERGETLSR = 0x5459;

/** Source: <asm-generic/ioctls.h>: the shift register is empty as well. */
const TIOCSER_TEMT = 0x01;

/** Holds the line at space until {@link endBreak}; a pty takes it and does nothing. @throws {SystemError} */
export function startBreak(fd: number): void {
  callLibc('ioctl', fd, TIOCSBRK, null);
}

/** @throws {SystemError} */
export function endBreak(fd: number): void {
  callLibc('ioctl', fd, TIOCCBRK, null);
}

/** What is written and not on the line yet is still in the kernel, or in the chip as far as its driver tells. */
export type Unsent = 'in the kernel' | 'in the chip' | 'nothing';

/** @throws {SystemError} */
export function whatIsUnsent(fd: number): Unsent {
  if (readNumber(fd, TIOCOUTQ) > 0) return 'in the kernel';
  try {
    return (readNumber(fd, TIOCSERGETLSR) & TIOCSER_TEMT) === 0 ? 'in the chip' : 'nothing';
  } catch (error) {
    if (error instanceof SystemError && UNKNOWN.includes(error.code)) return 'nothing';
    throw error;
  }
}

const UNKNOWN: readonly string[] = ['ENOTTY', 'EINVAL', 'EOPNOTSUPP'];

function readNumber(fd: number, request: number): number {
  const number = Buffer.alloc(4);
  callLibc('ioctl', fd, request, number);
  return number.readInt32LE();
}
