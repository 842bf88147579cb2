/** Past this, a driver stops reading until its reader has caught up; the kernel then holds back or drops. */
export const QUEUE_LIMIT_BYTES = 16 * 1024 * 1024;

/** Hands chunks from a driver's callback to one `for await` loop, in order. */
export class ChunkQueue implements AsyncIterable<Uint8Array> {
  #chunks: Uint8Array[] = [];
  #sizeBytes = 0;
  #end: { readonly error?: Error } | undefined;
  #wake: (() => void) | undefined;
  readonly #onEmpty: () => void;

  /** `onEmpty` is called each time the reader has taken everything. */
  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty;
  }

  /** False when the driver should stop reading until `onEmpty`. */
  push(chunk: Uint8Array): boolean {
    if (this.#end) return false;
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    this.#wake?.();
    return this.#sizeBytes < QUEUE_LIMIT_BYTES;
  }

  /** Ends the loop once everything before has been taken; with an error, by throwing it. The first call counts. */
  end(error?: Error): void {
    this.#end ??= error ? { error } : {};
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const taken = this.#chunks;
      this.#chunks = [];
      this.#sizeBytes = 0;
      yield* taken;
      if (this.#chunks.length > 0) continue;
      if (this.#end?.error) throw this.#end.error;
      if (this.#end) return;
      this.#onEmpty();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
