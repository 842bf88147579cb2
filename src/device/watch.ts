/** `sai-device --watch`: the list, and again whenever something changes. Opens no tty. */

import { type FSWatcher, watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { exitStatusOfSignal } from '../base/exit.ts';
import { type Invocation, Stopped } from '../base/run-main.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { ENV } from '../wire/env.ts';
import { Alarm } from './alarm.ts';
import { LatestOutput } from './latest-output.ts';
import { listDevices } from './list.ts';
import { ttyGidOf } from './place.ts';
import { loadPool } from './pool.ts';
import { findRunDir } from './run-dir.ts';
import { SignalDesk } from './signals.ts';

/** For what raises no event: foreign locks, a board that is plugged in, a run folder that appears. */
const SAFETY_LOOK_MS = 1000;

/** While a reader is slow, and for a record that is just being written. */
const SHORT_LOOK_MS = 50;

/** Shows every device until somebody ends it, or nobody reads it any more. */
export async function watchPool(
  config: string,
  format: 'text' | 'json',
  { env, diagnostics }: Invocation,
): Promise<number> {
  const { stop } = new SignalDesk();
  const pool = await loadPool(config);
  const alarm = new Alarm();
  const ring = (): void => alarm.ring();
  stop.addEventListener('abort', ring);
  using output = new LatestOutput(format, ring);
  using folders = new WatchedFolders(ring);
  let told: string | undefined;
  while (!stop.aborted && !output.isAbandoned()) {
    const runDir = findRunDir({ configured: env[ENV.runDir], ttyGid: ttyGidOf(pool) });
    folders.follow(runDir ? [runDir.path, runDir.queue, runDir.state] : []); // before the look: nothing is missed
    if (output.isIdle()) {
      const { listings, damage } = listDevices(pool, runDir);
      if (damage !== undefined && damage !== told) diagnostics.say(damage);
      told = damage;
      output.show(listings);
    }
    await alarm.rings(output.isIdle() ? SAFETY_LOOK_MS : SHORT_LOOK_MS);
    if (!stop.aborted) await delay(SHORT_LOOK_MS);
  }
  return stop.reason instanceof Stopped ? exitStatusOfSignal(stop.reason.signal) : 0;
}

/** Folders that may not be there yet, or may be removed and made again. */
class WatchedFolders implements Disposable {
  readonly #onChange: () => void;
  readonly #watched = new Map<string, { readonly ino: number; readonly watcher: FSWatcher }>();

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  follow(paths: readonly string[]): void {
    for (const path of this.#watched.keys()) if (!paths.includes(path)) this.#drop(path);
    for (const path of paths) this.#follow(path);
  }

  [Symbol.dispose](): void {
    this.follow([]);
  }

  #follow(path: string): void {
    const ino = statIfVisible(path)?.ino;
    if (this.#watched.get(path)?.ino === ino) return;
    this.#drop(path);
    if (ino === undefined) return;
    try {
      const watcher = watch(path, this.#onChange);
      watcher.on('error', () => {}); // it went away: the next look tells
      this.#watched.set(path, { ino, watcher });
    } catch {
      // gone again, or no watch left (fs.inotify.max_user_instances): the safety look does
    }
  }

  #drop(path: string): void {
    this.#watched.get(path)?.watcher.close();
    this.#watched.delete(path);
  }
}
