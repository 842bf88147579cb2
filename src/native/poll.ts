import { callLibc } from './libc.ts';

/** Source: <poll.h>: `struct pollfd { int fd; short events; short revents; }`. */
export const POLLIN = 1;
const POLLOUT = 4;
const POLLERR = 8;
const POLLHUP = 16;
const POLLNVAL = 32;
const POLLFD_BYTES = 8;
const OFFSET = { fd: 0, events: 4, revents: 6 };

/**
 * The most that can be written at once to what {@link isWritable}, without waiting: a pipe then has a whole page free,
 * a socket far more. Source: pipe(7), PIPE_BUF.
 */
export const WRITABLE_BYTES = 4096;

/** Whether a write would be taken, or refused, at once; true for files. @throws {SystemError} */
export function isWritable(fd: number): boolean {
  return poll(fd, POLLOUT) !== 0;
}

/** Whether a read would give something, or fail, at once. @throws {SystemError} */
export function isReadable(fd: number): boolean {
  return poll(fd, POLLIN) !== 0;
}

/** Whether nobody will ever read what is written: a pipe without a reader, a terminal that hung up. @throws {SystemError} */
export function isAbandoned(fd: number): boolean {
  return (poll(fd, 0) & (POLLERR | POLLHUP)) !== 0;
}

/** What there is to tell now, without waiting. */
function poll(fd: number, events: number): number {
  const request = pollRequest([{ fd, events }]);
  callLibc('poll', request, 1, 0);
  return request.readInt16LE(OFFSET.revents);
}

/** What poll(2) is given, and where {@link pollAnswers} then finds what it says. */
export function pollRequest(asked: readonly { readonly fd: number; readonly events: number }[]): Buffer {
  const request = Buffer.alloc(asked.length * POLLFD_BYTES);
  for (const [index, { fd, events }] of asked.entries()) {
    request.writeInt32LE(fd, index * POLLFD_BYTES + OFFSET.fd);
    request.writeInt16LE(events, index * POLLFD_BYTES + OFFSET.events);
  }
  return request;
}

/** Of each descriptor in the order asked: whether there is something to read, whether there never will be again. */
export function pollAnswers(request: Buffer): { readonly isReadable: boolean; readonly isOver: boolean }[] {
  return Array.from({ length: request.length / POLLFD_BYTES }, (_, index) => {
    const said = request.readInt16LE(index * POLLFD_BYTES + OFFSET.revents);
    return {
      isReadable: (said & POLLIN) !== 0,
      isOver: (said & (POLLERR | POLLHUP | POLLNVAL)) !== 0,
    };
  });
}
