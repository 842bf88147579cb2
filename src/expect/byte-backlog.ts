/**
 * The end of a byte stream, addressed by absolute offset: what has arrived and may still be needed.
 * Whoever owns it lets go of the front; nothing is forgotten by itself.
 */
export class ByteBacklog {
  #bytes = Buffer.alloc(0);
  #used = 0;
  #start = 0;

  /** Offset of the first byte that is still there. */
  get start(): number {
    return this.#start;
  }

  /** Offset just past the last byte. */
  get end(): number {
    return this.#start + this.#used;
  }

  append(chunk: Uint8Array): void {
    if (this.#used + chunk.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#used + chunk.length));
      this.#bytes.copy(larger, 0, 0, this.#used);
      this.#bytes = larger;
    }
    this.#bytes.set(chunk, this.#used);
    this.#used += chunk.length;
  }

  /** A view, good until the next `append` or `forgetBefore`; what was let go of, or has not come, is left out. */
  view(from: number, to = this.end): Buffer {
    const last = Math.min(to - this.#start, this.#used);
    return this.#bytes.subarray(Math.max(0, from - this.#start), Math.max(0, last));
  }

  /** Has `reader` look at the bytes in place: all of those from `from` to `to` of what it is given. */
  read<T>(from: number, to: number, reader: (bytes: Uint8Array, from: number, to: number) => T): T {
    return reader(this.#bytes, Math.max(0, from - this.#start), Math.min(to - this.#start, this.#used));
  }

  /** The same as text of one character a byte. */
  latin1(from: number, to: number): string {
    return this.#bytes.toString(
      'latin1',
      Math.max(0, from - this.#start),
      Math.min(to - this.#start, this.#used),
    );
  }

  /** Takes the end back. */
  forgetAfter(offset: number): void {
    this.#used = Math.max(0, Math.min(this.#used, offset - this.#start));
  }

  forgetBefore(offset: number): void {
    const count = Math.min(Math.max(0, offset - this.#start), this.#used);
    if (count === 0) return;
    this.#bytes.copyWithin(0, count, this.#used);
    this.#used -= count;
    this.#start += count;
  }
}
