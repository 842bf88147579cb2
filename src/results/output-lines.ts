/** Longer than any line that tells of a test; the rest of a longer one is dropped. */
const LIMIT_BYTES = 8192;

const NEWLINE = 0x0a;
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours, and what serial lines put between texts
const NOISE = /\x1b\[[\d;]*[A-Za-z]|\r+$|\0/g;

/** A board's output as whole lines of text, in any chunking and with bounded memory: no colours, no line ends. */
export class OutputLines {
  #pieces: Uint8Array[] = [];
  #sizeBytes = 0;

  /** Lines that `chunk` completes. */
  *push(chunk: Uint8Array): Generator<string> {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, end));
      yield this.#take();
      from = end + 1;
    }
    this.#keep(chunk.slice(from));
  }

  #keep(piece: Uint8Array): void {
    const kept = piece.subarray(0, LIMIT_BYTES - this.#sizeBytes);
    if (kept.length === 0) return;
    this.#pieces.push(kept);
    this.#sizeBytes += kept.length;
  }

  #take(): string {
    const text = Buffer.concat(this.#pieces).toString('utf8');
    this.#pieces = [];
    this.#sizeBytes = 0;
    return text.replace(NOISE, '');
  }
}
