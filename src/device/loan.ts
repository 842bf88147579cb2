/** The tool's side of lending: asks the holder of a lease for its ttys, and gives them back. */

import type { Socket } from 'node:net';
import { ByteLines } from '../base/byte-lines.ts';
import { formatDuration, LONGEST_MS } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { connectToUnixSocket } from '../base/unix-socket.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import { LendAnswer, type LendRequest, lendSocketPath, MAX_LINE_BYTES, parseLine } from './lend-protocol.ts';

/** A holder that is not stopped answers within milliseconds. */
const SAY_AFTER_MS = 1000;

/** Also who does not wait has to be answered. */
const SHORTEST_WAIT_MS = 2000;

/** Who waits, for how long. */
export interface Patience {
  readonly waitMs: number;
  /** By `performance.now`. */
  readonly untilMs: number;
  readonly stop: AbortSignal;
  readonly say: (text: string) => void;
}

/** The ttys of a lease, unlocked for as long as this process lives or until disposed. */
export class Loan implements Disposable {
  readonly #socket: Socket;
  readonly #answers: AsyncIterator<LendAnswer>;
  readonly #say: (text: string) => void;

  private constructor(socket: Socket, say: (text: string) => void) {
    this.#socket = socket;
    socket.on('error', () => {}); // whoever reads the answers hears of it
    this.#answers = answersOn(socket);
    this.#say = say;
  }

  /**
   * Resolves once they are unlocked.
   *
   * @throws {RigError} blame `unavailable` when the holder is gone, refuses, or does not answer in time
   * @throws the reason of `patience.stop`
   */
  static async of(lease: LeaseRecord, patience: Patience): Promise<Loan> {
    const loan = new Loan(await connectToUnixSocket(lendSocketPath(lease.folder)), patience.say);
    try {
      await loan.#begin(lease, patience);
      return loan;
    } catch (error) {
      loan[Symbol.dispose]();
      throw error;
    }
  }

  /** Resolves once they are locked again, a process of the lease keeps one locked, the holder is gone, or at `stop`. */
  async giveBack(stop: AbortSignal): Promise<void> {
    this.#ask('return');
    const stopped = new Promise<undefined>((resolve) => {
      if (stop.aborted) resolve(undefined);
      stop.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    const answer = await Promise.race([this.#answers.next(), stopped]);
    if (answer?.value?.answer === 'kept') this.#say(`${answer.value.by} has left a tty locked`);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #begin(lease: LeaseRecord, { untilMs, waitMs, stop, say }: Patience): Promise<void> {
    const holder = `the sai-device that holds ${lease.devices[0].name} (pid ${lease.holderPid})`;
    this.#ask('lend');
    const leftMs = Math.max(SHORTEST_WAIT_MS, untilMs - performance.now());
    const timers = [
      setTimeout(() => say(`waiting for ${holder} to lend its ttys`), SAY_AFTER_MS),
      setTimeout(() => this.#socket.destroy(new Late()), Math.min(leftMs, LONGEST_MS)),
    ];
    const abort = (): void => void this.#socket.destroy();
    stop.addEventListener('abort', abort, { once: true });
    try {
      const { value } = await this.#answers.next();
      if (value?.answer === 'lent') return;
      const why = value?.answer === 'refused' ? value.why : 'it ended';
      throw new RigError('unavailable', `${holder} does not lend its ttys: ${why}`);
    } catch (error) {
      stop.throwIfAborted();
      if (!(error instanceof Late)) throw error;
      throw new RigError(
        'unavailable',
        `${holder} does not answer after ${formatDuration(Math.max(waitMs, SHORTEST_WAIT_MS))}; has it been stopped?`,
        { cause: error },
      );
    } finally {
      for (const timer of timers) clearTimeout(timer);
      stop.removeEventListener('abort', abort);
    }
  }

  #ask(ask: LendRequest['ask']): void {
    const request: LendRequest = { version: 1, ask };
    this.#socket.write(`${JSON.stringify(request)}\n`);
  }
}

class Late extends Error {}

/** Ends when the holder does. @throws {Late} */
async function* answersOn(socket: Socket): AsyncGenerator<LendAnswer, undefined> {
  const lines = new ByteLines(MAX_LINE_BYTES);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (const line of lines.push(chunk)) {
        yield parseLine(LendAnswer, line) ?? {
          answer: 'refused',
          why: 'it is of another version of sai-rig',
        };
      }
    }
  } catch (error) {
    if (error instanceof Late) throw error;
    // ECONNRESET, EPIPE: it was killed
  }
  return undefined;
}
