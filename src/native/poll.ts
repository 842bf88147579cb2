import { callLibc } from './libc.ts';

/** Source: <poll.h>: `struct pollfd { int fd; short events; short revents; }`. */
const POLLOUT = 4;
const POLLFD_BYTES = 8;
const OFFSET = { fd: 0, events: 4, revents: 6 };

/**
 * The most that can be written at once to what {@link isWritable}, without waiting: a pipe then has a whole page free,
 * a socket far more. Source: pipe(7), PIPE_BUF.
 */
export const WRITABLE_BYTES = 4096;

/** Whether a write would be taken, or refused, at once; true for files. @throws {SystemError} */
export function isWritable(fd: number): boolean {
  const poll = Buffer.alloc(POLLFD_BYTES);
  poll.writeInt32LE(fd, OFFSET.fd);
  poll.writeInt16LE(POLLOUT, OFFSET.events);
  callLibc('poll', poll, 1, 0);
  return poll.readInt16LE(OFFSET.revents) !== 0;
}
