import { readSync, writeSync } from 'node:fs';
import { callLibc, callLibcOnThread } from './libc.ts';
import { openPipe, type Pipe } from './pipe.ts';
import { POLLIN, pollAnswers, pollRequest } from './poll.ts';

/** What happened to a descriptor that is watched. */
export interface DescriptorNews {
  readonly isReadable: boolean;
  /** The device behind it has gone; it is not watched any more. */
  readonly isOver: boolean;
}

interface Watched {
  readonly fd: number;
  readonly events: number;
  readonly listener: (news: DescriptorNews) => void;
}

/**
 * The longest that a device can be gone unnoticed: kernels before 6.7 do not wake who polls a GPIO chip that goes away,
 * but tell whoever asks again. It is also the longest that a process which just ends waits for its thread.
 */
const ASK_AGAIN_MS = 250;

/** Wakes come one byte each; what is left over wakes once more. */
const WAKE_BYTES = 64;

/**
 * Waits for any number of descriptors that Node.js itself cannot wait for, in one poll(2) on one thread: there are four
 * for all files of the process. There is no thread while nothing is watched.
 */
export class DescriptorWatch {
  readonly #watched = new Set<Watched>();
  /** While something is watched; written to, it ends the poll that goes on. */
  #pipe: Pipe | undefined;
  #poll: Promise<unknown> = Promise.resolve();

  /**
   * Calls `listener` whenever there is something to read, if asked `for` that, and when the device has gone. Calling what
   * comes back ends that; it resolves once the kernel holds the descriptor for us no more, so that closing it closes it.
   *
   * @throws {SystemError} when there are no descriptors left
   */
  watch(fd: number, waitFor: 'reading' | 'end', listener: Watched['listener']): () => Promise<void> {
    const watched = { fd, events: waitFor === 'reading' ? POLLIN : 0, listener };
    if (this.#pipe) {
      this.#watched.add(watched);
      this.#wake();
    } else {
      this.#pipe = openPipe();
      this.#watched.add(watched);
      void this.#run(this.#pipe);
    }
    return async () => {
      if (this.#watched.delete(watched)) this.#wake();
      await this.#poll;
    };
  }

  async #run(pipe: Pipe): Promise<void> {
    while (this.#watched.size > 0) await this.#pollOnce(pipe);
    this.#pipe = undefined;
    callLibc('close', pipe.readFd);
    callLibc('close', pipe.writeFd);
  }

  async #pollOnce(pipe: Pipe): Promise<void> {
    const watched = [...this.#watched];
    const request = pollRequest([{ fd: pipe.readFd, events: POLLIN }, ...watched]);
    const poll = callLibcOnThread('poll', request, watched.length + 1, ASK_AGAIN_MS);
    this.#poll = poll;
    if ((await poll) <= 0) return; // time is up; or it was interrupted, and has said nothing
    const [woken, ...answers] = pollAnswers(request);
    if (woken?.isReadable) readSync(pipe.readFd, Buffer.alloc(WAKE_BYTES));
    for (const [index, news] of answers.entries()) {
      const each = watched[index];
      if (!each || !this.#watched.has(each)) continue;
      if (news.isOver) this.#watched.delete(each);
      if (news.isOver || news.isReadable) each.listener(news);
    }
  }

  #wake(): void {
    if (this.#pipe) writeSync(this.#pipe.writeFd, 'x');
  }
}
