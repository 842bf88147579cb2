import type { JigEvent } from '../wire/jig.ts';

/** More watchers than a lab has screens. */
const MAX_WATCHERS = 64;

/** A watcher that leaves so much unread is cut off: it can ask for the state again. */
export const MAX_UNREAD_BYTES = 1024 * 1024;

/** Tells every watcher what happens, each event as one line of JSON without its newline. */
export class EventHub {
  readonly #watchers = new Set<(line: string) => void>();

  get watcherCount(): number {
    return this.#watchers.size;
  }

  get isFull(): boolean {
    return this.watcherCount >= MAX_WATCHERS;
  }

  /** Returns what ends it. */
  watch(watcher: (line: string) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  emit(event: JigEvent): void {
    if (this.#watchers.size === 0) return;
    const line = JSON.stringify(event);
    for (const watcher of [...this.#watchers]) watcher(line);
  }
}
