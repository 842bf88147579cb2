/** Hears of a path that begins or ceases to lead somewhere. Never alone: some file systems raise no events. */

import { type FSWatcher, readlinkSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { statIfVisible } from '../base/visible-file.ts';

/** Source: path_resolution(7): the kernel follows no more links either. */
const MAX_LINKS = 40;

/**
 * Watches the folders in which a path and the links behind it lie. A write to any file in such a folder is an event
 * too, and on a tty there are many: so watch only while there is something to wait for.
 */
export class PathWatch implements Disposable {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #onEvent: () => void;
  #isPending = false;

  /** `onEvent` comes once for many events that come together. */
  constructor(onEvent: () => void) {
    this.#onEvent = onEvent;
  }

  /** From now on these paths, wherever they lead now; a folder may have come or gone since the last call. */
  follow(paths: readonly string[]): void {
    const wanted = new Set(paths.flatMap((path) => foldersOf(path)));
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#watch(folder);
  }

  [Symbol.dispose](): void {
    this.follow([]);
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#note());
      watcher.on('error', () => {}); // the looks in between find out
      this.#watchers.set(folder, watcher);
    } catch {
      // gone again, or no watches left (fs.inotify.max_user_watches): the looks in between find out
    }
  }

  #note(): void {
    if (this.#isPending) return;
    this.#isPending = true;
    setImmediate(() => {
      this.#isPending = false;
      if (this.#watchers.size > 0) this.#onEvent();
    });
  }
}

function foldersOf(path: string): string[] {
  const folders = [nearestFolder(path)];
  let next = path;
  for (let links = 0; links < MAX_LINKS; links++) {
    try {
      next = resolve(dirname(next), readlinkSync(next));
    } catch {
      break; // no link: the end of the way
    }
    folders.push(nearestFolder(next));
  }
  return folders;
}

/** udev removes the folder with its last link. */
function nearestFolder(path: string): string {
  let folder = dirname(path);
  while (folder !== '/' && !statIfVisible(folder)?.isDirectory()) folder = dirname(folder);
  return folder;
}
