/** Signals to sai-device: the end of a wait, or the command's business. */

import { Stopped } from '../base/run-main.ts';

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
const OTHER_SIGNALS: readonly NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2'];

/** From its making on no signal ends this process by itself. */
export class SignalDesk {
  readonly #stopper = new AbortController();
  #relay: ((signal: NodeJS.Signals) => void) | undefined;

  constructor() {
    for (const signal of STOP_SIGNALS) {
      process.on(signal, () =>
        this.#relay ? this.#relay(signal) : this.#stopper.abort(new Stopped(signal)),
      );
    }
    for (const signal of OTHER_SIGNALS) process.on(signal, () => this.#relay?.(signal));
  }

  /** Aborted, with a {@link Stopped}, by the first signal that asks to stop while nobody relays. */
  get stop(): AbortSignal {
    return this.#stopper.signal;
  }

  /** From now on every signal goes to `relay`; disposing ends that. */
  relayTo(relay: (signal: NodeJS.Signals) => void): Disposable {
    this.#relay = relay;
    return { [Symbol.dispose]: () => (this.#relay = undefined) };
  }
}
