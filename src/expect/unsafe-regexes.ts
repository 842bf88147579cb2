import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { RigError } from '../base/errors.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import type { RawHit } from './regex-hit.ts';

/** Longest that one evaluation may take. The kernel holds what a board says meanwhile, up to 640 KiB of a UART's. */
const EVALUATION_LIMIT_MS = 1000;

/** A thread that has not started by then is on a machine that does nothing else any more. */
const START_LIMIT_MS = 20_000;

/** What is asked of the thread: the first match of a pattern. */
export interface Question {
  readonly source: string;
  readonly text: string;
  readonly from: number;
}

/** What the thread is given. */
export interface RegexThread {
  readonly port: MessagePort;
  /** Counts its answers. */
  readonly answered: Int32Array;
}

/**
 * Runs patterns in a thread that can be ended in the middle of one, which nothing else can. Who asks waits: matching
 * goes by the order of the bytes. Started with the first question; ends with the process.
 */
export class UnsafeRegexes implements UnsafeEngine {
  readonly #program: string;
  readonly #answered = new Int32Array(new SharedArrayBuffer(4));
  #thread: { readonly worker: Worker; readonly port: MessagePort } | undefined;

  /** `program` is what `regex-main.ts` was built into. */
  constructor(program: string) {
    this.#program = program;
  }

  find(source: string, text: string, from: number, what: string): RawHit | undefined {
    const port = this.#start();
    const question: Question = { source, text, from };
    const before = Atomics.load(this.#answered, 0);
    port.postMessage(question);
    if (this.#waitFor(before, EVALUATION_LIMIT_MS))
      return receiveMessageOnPort(port)?.message as RawHit | undefined;
    void this.#thread?.worker.terminate();
    throw new RigError(
      'usage',
      `${what} took over ${EVALUATION_LIMIT_MS} ms on ${text.length} bytes; ` +
        'write it without nested repeats, look-around and back references',
    );
  }

  #start(): MessagePort {
    if (this.#thread) return this.#thread.port;
    const { port1: ours, port2: theirs } = new MessageChannel();
    const workerData: RegexThread = { port: theirs, answered: this.#answered };
    const worker = new Worker(this.#program, { workerData, transferList: [theirs] });
    worker.unref();
    this.#thread = { worker, port: ours };
    if (!this.#waitFor(0, START_LIMIT_MS))
      throw new Error('the thread for regular expressions has not started');
    receiveMessageOnPort(ours);
    return ours;
  }

  /** False when the count of answers has not gone past `before` in time. */
  #waitFor(before: number, limitMs: number): boolean {
    return Atomics.wait(this.#answered, 0, before, limitMs) !== 'timed-out';
  }
}
