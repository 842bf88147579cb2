import { once } from 'node:events';
import { connect } from 'node:net';
import type { LogArrival, LogSink } from '../../src/logproxy/sink.ts';

/** Keeps what arrives, in memory. */
export class RecordingSink implements LogSink {
  readonly arrivals: LogArrival[] = [];
  readonly #listeners = new Set<() => void>();
  #full = false;
  readonly #waiting: (() => void)[] = [];

  append(arrival: LogArrival): 'go on' | 'wait' {
    const kept = arrival.kind === 'bytes' ? { ...arrival, bytes: Uint8Array.from(arrival.bytes) } : arrival;
    this.arrivals.push(kept);
    for (const listen of this.#listeners) listen();
    return this.#full ? 'wait' : 'go on';
  }

  async drained(): Promise<void> {
    if (this.#full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** From now on every source is asked to wait. */
  fill(): void {
    this.#full = true;
  }

  drain(): void {
    this.#full = false;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  /** All bytes of one direction, or of one writer, joined. */
  bytes(of: { readonly direction?: 'in' | 'out'; readonly writer?: number } = {}): Buffer {
    return Buffer.concat(
      this.arrivals.flatMap((each) =>
        each.kind === 'bytes' &&
        each.direction === (of.direction ?? each.direction) &&
        each.writer === (of.writer ?? each.writer)
          ? [each.bytes]
          : [],
      ),
    );
  }

  /** Sizes of the gaps, in order. */
  get gaps(): number[] {
    return this.arrivals.flatMap((each) => (each.kind === 'gap' ? [each.lostBytes] : []));
  }

  /** Resolves once `condition` holds; it is looked at with each arrival. */
  async until(condition: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const listen = (): void => {
        if (!condition()) return;
        this.#listeners.delete(listen);
        resolve();
      };
      this.#listeners.add(listen);
      listen();
    });
  }
}

/** Writes pieces one after another, each when the kernel has taken the one before, and hangs up. */
export async function writeRaw(path: string, ...pieces: readonly (string | Uint8Array)[]): Promise<void> {
  const socket = connect(path);
  await once(socket, 'connect');
  for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve));
  socket.end();
  await once(socket.resume(), 'close');
}
