import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RigError, reasonOf } from '../base/errors.ts';
import { type FileId, readFlocks } from '../base/proc-locks.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { OpenWatch } from '../native/open-watch.ts';

/** Who uses a tty that this process made, besides this process. Looks only, and opens nothing. */
export class TtyUsers implements Disposable {
  readonly #ttyPath: string;
  readonly #file: FileId;
  readonly #opens: OpenWatch;

  /** `ttyPath` is the node, `/dev/pts/N`, not a link to it. @throws {RigError} blame `unavailable` */
  constructor(ttyPath: string) {
    this.#ttyPath = ttyPath;
    this.#file = statSync(ttyPath);
    try {
      this.#opens = new OpenWatch(ttyPath);
    } catch (error) {
      // Every user has a few: fs.inotify.max_user_instances.
      throw new RigError('unavailable', `${ttyPath}: cannot be watched: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Whether somebody has opened it since the last call; cheap enough to be asked often. */
  wasOpened(): boolean {
    return this.#opens.wasOpened();
  }

  /** Whether somebody has it locked, or open as far as this user may see. Looks at every process. */
  isInUse(): boolean {
    if (readFlocks().holderOf(this.#file) !== undefined) return true;
    return readdirSync('/proc').some(
      (pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && this.#isOpenIn(`/proc/${pid}/fd`),
    );
  }

  #isOpenIn(folder: string): boolean {
    return namesIn(folder).some((name) => {
      const link = join(folder, name);
      if (targetOf(link) !== this.#ttyPath) return false;
      // Another mount of devpts has a tty of that name too.
      const file = statIfVisible(link);
      return file?.dev === this.#file.dev && file.ino === this.#file.ino;
    });
  }

  [Symbol.dispose](): void {
    this.#opens[Symbol.dispose]();
  }
}

/** None for a process that has ended, or belongs to somebody else. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // there is nothing that this user may see
  }
}

function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined; // closed meanwhile
  }
}
