/** How a waiter hears that it should look: its own ticket was touched, or the one in front of it went. */

import { existsSync, type FSWatcher, watch } from 'node:fs';

/**
 * Who was in front has most likely got its device and starts its command just now, on a processor that we would compete
 * for. Whatever else is free it has told us of.
 */
const ADVANCE_AFTER_MS = 20;

export interface TicketEvents {
  /** Somebody let go of a device that we may be the first for; or removed our ticket. */
  readonly onWoken: () => void;
  /** Whoever is in front of us has gone. */
  readonly onAdvance: () => void;
}

/** Two watches of one inotify instance: with any number of waiters, an event wakes one or two of them. */
export class TicketWatch implements Disposable {
  readonly #events: TicketEvents;
  #own: FSWatcher | undefined;
  #inFront: FSWatcher | undefined;
  #inFrontPath: string | undefined;
  #advance: NodeJS.Timeout | undefined;

  constructor(events: TicketEvents) {
    this.#events = events;
  }

  /** False when the kernel has no watch left for this user (fs.inotify.max_user_instances): looking is all there is. */
  get isWorking(): boolean {
    return this.#own !== undefined && (this.#inFrontPath === undefined || this.#inFront !== undefined);
  }

  watchOwn(path: string): void {
    this.#own?.close();
    this.#own = tryWatch(path, this.#events.onWoken);
  }

  /** Told also when it has gone already. Undefined: nobody is in front. */
  watchInFront(path: string | undefined): void {
    if (path === this.#inFrontPath) return;
    this.#inFront?.close();
    this.#inFrontPath = path;
    this.#inFront = path === undefined ? undefined : tryWatch(path, () => this.#advanceIfGone(path));
    if (path !== undefined) this.#advanceIfGone(path);
  }

  [Symbol.dispose](): void {
    this.#own?.close();
    this.#inFront?.close();
    clearTimeout(this.#advance);
  }

  /** It is also touched, to wake its owner: that is not our business. */
  #advanceIfGone(path: string): void {
    if (path !== this.#inFrontPath || existsSync(path)) return;
    this.#advance ??= setTimeout(() => {
      this.#advance = undefined;
      this.#events.onAdvance();
    }, ADVANCE_AFTER_MS);
  }
}

function tryWatch(path: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, onEvent);
    watcher.on('error', () => {}); // the waiter looks from time to time all the same
    return watcher;
  } catch {
    return undefined;
  }
}
