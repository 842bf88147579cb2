import { callLibc } from './libc.ts';

/** Source: <sys/socket.h>. */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/**
 * Writes what the socket has room for, without waiting, whether or not its descriptor blocks; returns how many bytes.
 *
 * @throws {SystemError} EAGAIN: it has no room; EPIPE: nobody will ever read
 */
export function sendNow(fd: number, bytes: Uint8Array): number {
  return callLibc('sendto', fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, null, 0);
}
