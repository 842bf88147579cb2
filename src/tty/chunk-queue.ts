/** Past this, a driver stops reading until its reader has caught up; the kernel then holds back or drops. */
export const QUEUE_LIMIT_BYTES = 16 * 1024 * 1024;

/** Hands chunks from a driver's callback to one `for await` loop, in order. */
export class ChunkQueue implements AsyncIterable<Uint8Array> {
  #chunks: Uint8Array[] = [];
  /** Chunks before this one have been taken. */
  #next = 0;
  #sizeBytes = 0;
  #isStopped = false;
  #end: { readonly error?: Error } | undefined;
  #wake: (() => void) | undefined;
  readonly #goOn: () => void;

  /** `goOn` is called when the reader has taken everything, and a push was told to stop before. */
  constructor(goOn: () => void) {
    this.#goOn = goOn;
  }

  /** False when the driver should stop reading until it is told to go on. */
  push(chunk: Uint8Array): boolean {
    if (this.#end) return false;
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    this.#isStopped = this.#sizeBytes >= QUEUE_LIMIT_BYTES;
    this.#wake?.();
    return !this.#isStopped;
  }

  /** Ends the loop once everything before has been taken; with an error, by throwing it. The first call counts. */
  end(error?: Error): void {
    this.#end ??= error ? { error } : {};
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#take();
      if (chunk) {
        yield chunk;
        continue;
      }
      if (this.#end?.error) throw this.#end.error;
      if (this.#end) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#askForMore();
      });
      this.#wake = undefined;
    }
  }

  #take(): Uint8Array | undefined {
    const chunk = this.#chunks[this.#next];
    if (chunk) {
      this.#next++;
      return chunk;
    }
    this.#chunks = [];
    this.#next = 0;
    this.#sizeBytes = 0;
    return undefined;
  }

  #askForMore(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#goOn();
  }
}
