import { closeSync } from 'node:fs';
import { callLibc } from './libc.ts';

/** Source: <sys/socket.h>, <bits/socket.h>. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** Source: unix(7), `struct sockaddr_un`: the family, then the path. */
const FAMILY_BYTES = 2;
const PATH_BYTES = 108;

/**
 * Sends one datagram to a Unix socket, which Node.js cannot; `@name` is an abstract one. Never waits.
 *
 * @throws {SystemError} code `EAGAIN` while the receiver has enough to read, `ECONNREFUSED` without one
 */
export function sendDatagram(address: string, message: string): void {
  const isAbstract = address.startsWith('@');
  const path = Buffer.from(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  if (path.length > PATH_BYTES) throw new RangeError(`${address}: expected at most 107 bytes`);
  const to = Buffer.alloc(FAMILY_BYTES + path.length);
  to.writeUInt16LE(AF_UNIX);
  path.copy(to, FAMILY_BYTES);
  const data = Buffer.from(message);
  const fd = callLibc('socket', AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  try {
    callLibc('sendto', fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, to, to.length);
  } finally {
    closeSync(fd);
  }
}
