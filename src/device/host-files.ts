import { readdirSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { errnoCode, reasonOf } from '../base/errors.ts';
import { splitDeviceNumber } from '../base/proc-locks.ts';

/**
 * The files by which the kernel and the system show themselves: /sys, /proc, /dev, /etc. Read-only, and what is not
 * there, or not to be seen, is undefined. In tests they stand below another root.
 */
export class HostFiles {
  readonly #root: string;

  /** `root` goes before each path; every path that comes back is without it. */
  constructor(root = '') {
    this.#root = root === '' ? '' : realpathSync(root);
  }

  /** Without blanks and line ends around it. */
  text(path: string): string | undefined {
    try {
      return readFileSync(this.#root + path, 'utf8').trim();
    } catch {
      return undefined;
    }
  }

  /** What is in a folder, in order; nothing when it is none. */
  names(path: string): string[] {
    try {
      return readdirSync(this.#root + path).sort();
    } catch {
      return [];
    }
  }

  stat(path: string): Stats | undefined {
    try {
      return statSync(this.#root + path);
    } catch {
      return undefined;
    }
  }

  /** The system error that keeps this user from seeing what is there: `ENOENT`, `EACCES`; undefined when nothing does. */
  errorAt(path: string): string | undefined {
    try {
      statSync(this.#root + path);
      return undefined;
    } catch (error) {
      return errnoCode(error) ?? reasonOf(error);
    }
  }

  /** `major:minor` of a character device. */
  deviceNumber(path: string): string | undefined {
    const stat = this.stat(path);
    return stat?.isCharacterDevice() ? numberText(stat.rdev) : undefined;
  }

  /** Without links. */
  real(path: string): string | undefined {
    try {
      return realpathSync(this.#root + path).slice(this.#root.length);
    } catch {
      return undefined;
    }
  }
}

/** As sysfs writes it: `188:0`. */
export function numberText(rdev: number): string {
  const { major, minor } = splitDeviceNumber(rdev);
  return `${major}:${minor}`;
}
