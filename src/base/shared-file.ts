/** Files in a folder that several users write to: any of them may have made one, also one that is no file at all. */

import { closeSync, constants, fchmodSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { errnoCode } from './errors.ts';

/** Nothing that the rig keeps in such a folder comes near. */
const MAX_SIZE_BYTES = 1_000_000;

/** Neither a link to elsewhere is followed, nor a FIFO waited for. */
const UNTRUSTED = constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens a file for reading and writing, or makes it with that mode: for the whole group. @throws for what is no file */
export function openShared(path: string, mode: 0o664 | 0o666 = 0o664): number {
  // Without O_CREAT first: in a sticky folder the kernel refuses it on a file of another user.
  // Source: Linux Documentation/admin-guide/sysctl/fs.rst, protected_regular.
  for (;;) {
    try {
      return checkedFile(path, openSync(path, constants.O_RDWR | UNTRUSTED));
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
    }
    try {
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | UNTRUSTED;
      const fd = withoutUmask(() => openSync(path, flags, mode));
      fchmodSync(fd, mode); // where the umask could not be set aside
      return fd;
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST') throw error;
    }
  }
}

/** Opens a file for reading only; nothing is made. @throws for what is no file */
export function openSharedToRead(path: string): number {
  return checkedFile(path, openSync(path, constants.O_RDONLY | UNTRUSTED));
}

/** Opens a file for writing only; nothing is made. @throws for what is no file */
export function openSharedToWrite(path: string): number {
  return checkedFile(path, openSync(path, constants.O_WRONLY | UNTRUSTED));
}

/** The text of a file. @throws for what is no file, or larger than any of ours */
export function readShared(path: string): string {
  const fd = openSharedToRead(path);
  try {
    const sizeBytes = fstatSync(fd).size;
    if (sizeBytes > MAX_SIZE_BYTES) {
      throw new Error(`${path}: expected at most ${MAX_SIZE_BYTES} bytes, found ${sizeBytes}`);
    }
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes something whose mode is for the whole group, whatever the umask is. In one step: who was killed between making
 * it and opening it to the others would have locked them out for ever. A worker thread has no umask to set aside; so
 * whoever makes something sets its mode afterwards all the same.
 */
export function withoutUmask<T>(make: () => T): T {
  let umask: number;
  try {
    umask = process.umask(0);
  } catch {
    return make(); // a worker; node:worker_threads would say so as well, for a quarter of a megabyte
  }
  try {
    return make();
  } finally {
    process.umask(umask);
  }
}

function checkedFile(path: string, fd: number): number {
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new Error(`${path}: expected a file, found something else`);
}
