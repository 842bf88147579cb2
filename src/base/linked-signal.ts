import { setMaxListeners } from 'node:events';

/**
 * One signal that is aborted with the first of several, until disposed. Unlike `AbortSignal.any` it leaves nothing
 * behind at signals that outlive it.
 */
export class LinkedSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #unlink: (() => void)[] = [];

  constructor(signals: readonly AbortSignal[]) {
    setMaxListeners(0, ...signals); // any number may follow one: Node.js would warn of a leak at the eleventh
    for (const signal of signals) {
      const follow = (): void => this.#controller.abort(signal.reason);
      if (signal.aborted) follow();
      signal.addEventListener('abort', follow, { once: true });
      this.#unlink.push(() => signal.removeEventListener('abort', follow));
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const unlink of this.#unlink.splice(0)) unlink();
  }
}
