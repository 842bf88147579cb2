/** Bytes put together for one write. Two buffers take turns, so nothing is copied while one is being written. */
export class ByteBatch {
  #filling: Buffer;
  #spare: Buffer;
  #length = 0;

  constructor(firstCapacity = 4096) {
    this.#filling = Buffer.allocUnsafeSlow(firstCapacity);
    this.#spare = Buffer.allocUnsafeSlow(0);
  }

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length).set(bytes);
  }

  /** The next `length` bytes of the batch, for the caller to fill in at once. */
  reserve(length: number): Buffer {
    const end = this.#length + length;
    if (end > this.#filling.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#filling.length));
      this.#filling.copy(larger, 0, 0, this.#length);
      this.#filling = larger;
    }
    const place = this.#filling.subarray(this.#length, end);
    this.#length = end;
    return place;
  }

  /** Everything so far; the batch is empty then. A view that is good until the next call of `take`. */
  take(): Buffer {
    const taken = this.#filling.subarray(0, this.#length);
    const emptied = this.#spare;
    this.#spare = this.#filling;
    this.#filling = emptied;
    this.#length = 0;
    return taken;
  }
}
