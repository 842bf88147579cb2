import { EVENT_BUFFER, readLineEvents, readLineLevel } from '../native/gpio-chardev.ts';
import type { EdgeEvent, Level } from './gpio.ts';

const NS_PER_MS = 1e6;

interface Input {
  readonly offset: number;
  /** Inside the request. */
  readonly index: number;
  /** As it was last told. */
  level: Level;
  /** Of its last event. */
  sequence: number;
  /** Until then, what it carried has been told by its level, and not by its events. */
  toldUntilNs: bigint;
}

/** The inputs of one request, and what the kernel keeps of their changes until somebody takes it. */
export class UapiInputs {
  readonly #fd: number;
  readonly #inputs: readonly Input[];

  /** `offsets` in the order of the request, set up to tell of both edges. @throws {SystemError} */
  constructor(fd: number, offsets: readonly number[]) {
    this.#fd = fd;
    this.#inputs = offsets.map((offset, index) => {
      return { offset, index, level: readLineLevel(fd, index), sequence: 0, toldUntilNs: 0n };
    });
  }

  /**
   * What there was since the last call, oldest first, and how many changes the kernel had no room for. Where it had none,
   * the last edges say what the lines carry now.
   *
   * @throws {SystemError}
   */
  changes(): { readonly edges: readonly EdgeEvent[]; readonly lost: number } {
    const events = readLineEvents(this.#fd);
    const edges: EdgeEvent[] = [];
    let lost = 0;
    for (const { offset, level, timestampNs, lineSequence } of events) {
      const input = this.#inputs.find((each) => each.offset === offset);
      if (!input) continue;
      lost += (lineSequence - input.sequence - 1) >>> 0; // modulo 2^32, as it counts
      input.sequence = lineSequence;
      if (timestampNs <= input.toldUntilNs) continue;
      input.level = level;
      edges.push({ offset, level, monotonicMs: Number(timestampNs) / NS_PER_MS });
    }
    // A line whose every event was dropped for those of another has no number that says so.
    const isFull = events.length >= EVENT_BUFFER;
    if (lost > 0 || isFull) edges.push(...this.#lookAnew());
    return { edges, lost };
  }

  #lookAnew(): EdgeEvent[] {
    return this.#inputs.flatMap((input) => {
      const nowNs = process.hrtime.bigint();
      const level = readLineLevel(this.#fd, input.index);
      if (level === input.level) return [];
      input.level = level;
      input.toldUntilNs = nowNs;
      return [{ offset: input.offset, level, monotonicMs: Number(nowNs) / NS_PER_MS }];
    });
  }
}
