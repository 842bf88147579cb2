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

/** What it found, or why V8 does not run the pattern. */
export type Answer = { readonly hit: RawHit | undefined } | { readonly failure: string };

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
  #thread: (RegexThread & { readonly worker: Worker }) | undefined;

  /** `program` is what `regex-main.ts` was built into. */
  constructor(program: string) {
    this.#program = program;
  }

  find(source: string, text: string, from: number, what: string): RawHit | undefined {
    const { port, answered, worker } = this.#start();
    const question: Question = { source, text, from };
    const before = Atomics.load(answered, 0);
    port.postMessage(question);
    if (hasAnswered(answered, before, EVALUATION_LIMIT_MS))
      return hitOf(receiveMessageOnPort(port)?.message, what);
    void worker.terminate();
    this.#thread = undefined;
    throw new RigError(
      'usage',
      `${what} took over ${EVALUATION_LIMIT_MS} ms on ${text.length} bytes; ` +
        'write it without nested repeats, look-around and back references',
    );
  }

  #start(): RegexThread & { readonly worker: Worker } {
    if (this.#thread) return this.#thread;
    const { port1: port, port2: theirs } = new MessageChannel();
    // Each its own: one that is ended may still answer.
    const answered = new Int32Array(new SharedArrayBuffer(4));
    const workerData: RegexThread = { port: theirs, answered };
    const worker = new Worker(this.#program, { workerData, transferList: [theirs] });
    worker.unref();
    if (!hasAnswered(answered, 0, START_LIMIT_MS))
      throw new Error('the thread for regular expressions has not started');
    receiveMessageOnPort(port);
    this.#thread = { worker, port, answered };
    return this.#thread;
  }
}

/** False when the count of answers has not gone past `before` in time. */
function hasAnswered(answered: Int32Array, before: number, limitMs: number): boolean {
  return Atomics.wait(answered, 0, before, limitMs) !== 'timed-out';
}

function hitOf(answer: Answer, what: string): RawHit | undefined {
  if ('hit' in answer) return answer.hit;
  const reason = answer.failure.slice(answer.failure.lastIndexOf(': ') + 2);
  throw new RigError('usage', `${what} cannot be run: ${reason}; write a shorter one`);
}
