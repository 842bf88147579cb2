import { Worker } from 'node:worker_threads';
import { RigError, reasonOf } from '../base/errors.ts';
import type { LineOrder } from '../native/gpio-chardev.ts';
import { SystemError } from '../native/libc.ts';
import type { PulseTimes } from './gpio.ts';

/** A pulse on lines of one request. Whoever asks keeps the descriptor open, and the lines alone, until the answer. */
export interface Pulse {
  readonly linesFd: number;
  readonly begin: LineOrder;
  readonly end: LineOrder;
  readonly forMs: number;
}

/** What the thread answers to each, in their order. */
export type PulseAnswer = PulseTimes | { readonly syscall: string; readonly errno: number };

/** What it says when it is up to speed. */
export const READY = 'ready';

interface Asker {
  readonly resolve: (times: PulseTimes) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * A thread that sleeps by the kernel's clock between the two ends of a pulse, and has nothing else to do: no timer, no
 * request, no garbage of ours comes between. One pulse after the other. Ends with the process, which it does not keep up
 * while it is idle.
 */
export class PulseThread {
  readonly #program: string;
  #worker: Worker | undefined;
  #ready: Promise<void> = Promise.resolve();
  readonly #askers: Asker[] = [];

  /** `program` is what `pulse-main.ts` was built into. */
  constructor(program: string) {
    this.#program = program;
  }

  /** Has it begin, and get up to speed, before it is needed. */
  start(): void {
    this.#started();
  }

  /** Resolves once it is up to speed, if it was started; or cannot be, which the first pulse then tells. */
  async ready(): Promise<void> {
    this.#worker?.ref();
    await this.#ready;
    if (this.#askers.length === 0) this.#worker?.unref();
  }

  /** @throws {SystemError} when an order cannot be given; after the first was, the second may not have been */
  async pulse(pulse: Pulse): Promise<PulseTimes> {
    const worker = this.#started();
    return await new Promise((resolve, reject) => {
      this.#askers.push({ resolve, reject });
      worker.ref();
      worker.postMessage(pulse);
    });
  }

  #started(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(this.#program);
    this.#worker = worker;
    worker.unref();
    this.#ready = new Promise((resolve) => {
      worker.once('message', () => resolve());
      worker.once('exit', () => resolve());
    });
    worker.on('message', (answer: PulseAnswer | typeof READY) => {
      if (answer === READY) return;
      const asker = this.#askers.shift();
      if (this.#askers.length === 0) worker.unref();
      if ('errno' in answer) asker?.reject(new SystemError(answer.syscall, answer.errno));
      else asker?.resolve(answer);
    });
    let reason = 'it ended';
    worker.once('error', (error) => {
      reason = reasonOf(error);
    });
    // Also after an error. The next pulse has another thread.
    worker.once('exit', () => {
      this.#worker = undefined;
      for (const { reject } of this.#askers.splice(0))
        reject(new RigError('hardware', `the thread for short pulses: ${reason}`));
    });
    return worker;
  }
}
