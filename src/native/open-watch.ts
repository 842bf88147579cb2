import { closeSync, readSync } from 'node:fs';
import { errnoCode } from '../base/errors.ts';
import { callLibc } from './libc.ts';

/** Source: <sys/inotify.h>, <asm-generic/fcntl.h>. */
const IN_OPEN = 0x20;
const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;

/** Many events of `struct inotify_event` without a name. Source: inotify(7). */
const EVENTS_BYTES = 4096;

/** Notices whoever opens a file, a tty too, without opening it itself. Has to be asked. Source: inotify(7). */
export class OpenWatch implements Disposable {
  readonly #fd: number;
  readonly #events = Buffer.allocUnsafe(EVENTS_BYTES);

  /** Links are followed. @throws {SystemError} code `ENOENT` when nothing is there */
  constructor(path: string) {
    this.#fd = callLibc('inotify_init1', IN_NONBLOCK | IN_CLOEXEC);
    try {
      callLibc('inotify_add_watch', this.#fd, Buffer.from(`${path}\0`), IN_OPEN);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** Whether somebody has opened it since the last call. */
  wasOpened(): boolean {
    let isOpened = false;
    try {
      while (readSync(this.#fd, this.#events) > 0) isOpened = true;
    } catch (error) {
      if (errnoCode(error) !== 'EAGAIN') throw error;
    }
    return isOpened;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
