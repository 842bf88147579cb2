import { callLibc } from './libc.ts';

/** Source: <asm-generic/fcntl.h>. */
const O_CLOEXEC = 0o2000000;

/** A pipe(7): what a child may open again as `/dev/stdout`, which it cannot with the sockets that Node.js gives. */
export interface Pipe {
  /** For a stream of ours, which closes it. */
  readonly readFd: number;
  /** For the child; closed by who opened it once the child has it. */
  readonly writeFd: number;
}

/** @throws {SystemError} when there are no descriptors left */
export function openPipe(): Pipe {
  const fds = Buffer.alloc(8);
  callLibc('pipe2', fds, O_CLOEXEC);
  return { readFd: fds.readInt32LE(0), writeFd: fds.readInt32LE(4) };
}
