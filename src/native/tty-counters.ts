import { callLibc, SystemError } from './libc.ts';

/** Source: <asm-generic/ioctls.h>. */
const TIOCGICOUNT = 0x545d;

/** Source: <linux/serial.h>, struct serial_icounter_struct: eleven counts and nine more that are reserved, all int. */
const COUNTERS_BYTES = 20 * 4;
const OFFSET = { framing: 24, overruns: 28, parity: 32, bufferOverruns: 40 };

/** What a tty's driver has counted since the machine started. */
export interface TtyCounters {
  /** Times that bytes were lost because nobody took them: in the chip, or in the kernel's buffer. One byte or more each. */
  readonly overruns: number;
  /** Bytes with a wrong stop bit, as at another speed. */
  readonly framingErrors: number;
  readonly parityErrors: number;
}

/** Undefined where the driver does not count: ptys, and some USB adapters. @throws {SystemError} */
export function readTtyCounters(fd: number): TtyCounters | undefined {
  const counters = Buffer.alloc(COUNTERS_BYTES);
  try {
    callLibc('ioctl', fd, TIOCGICOUNT, counters);
  } catch (error) {
    if (error instanceof SystemError && NOT_COUNTED.includes(error.code)) return undefined;
    throw error;
  }
  return {
    overruns: counters.readUInt32LE(OFFSET.overruns) + counters.readUInt32LE(OFFSET.bufferOverruns),
    framingErrors: counters.readUInt32LE(OFFSET.framing),
    parityErrors: counters.readUInt32LE(OFFSET.parity),
  };
}

/** EIO: the tty has hung up, and with it the counting. */
const NOT_COUNTED: readonly string[] = ['ENOTTY', 'EINVAL', 'EOPNOTSUPP', 'EIO'];
