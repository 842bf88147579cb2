/**
 * Cuts a byte stream into lines at `\n`, for peers that talk in lines of text.
 * A line longer than `limitBytes` is reported once by throwing; memory never grows past it.
 */
export class ByteLines {
  readonly #limitBytes: number;
  #pending: Buffer = Buffer.alloc(0);

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The lines that `chunk` completes, without their newline, decoded as UTF-8. @throws {RangeError} line too long */
  push(chunk: Uint8Array): string[] {
    let rest = Buffer.concat([this.#pending, chunk]);
    const lines: string[] = [];
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      lines.push(rest.subarray(0, end).toString('utf8'));
      rest = rest.subarray(end + 1);
    }
    if (rest.length > this.#limitBytes) {
      throw new RangeError(
        `expected lines of at most ${this.#limitBytes} bytes, got ${rest.length} without an end`,
      );
    }
    this.#pending = Buffer.from(rest);
    return lines;
  }
}
