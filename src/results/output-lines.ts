/** Longer than any line that tells of a test; the rest of a longer one is dropped. */
const LIMIT_BYTES = 8192;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const NUL = 0x00;
/** Source: ECMA-48, 5.4: control sequences; 8.3.89: operating system commands; ISO 2022: character sets. */
const NOISE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours, and what serial lines put between texts
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\^-~])|\0/g;

/**
 * A board's output as whole lines of text, in any chunking and with bounded memory: no colours, no line ends.
 * What a lone `\r` has ended is a line as well: progress that the next text overwrites.
 */
export class OutputLines {
  #pieces: Uint8Array[] = [];
  #sizeBytes = 0;
  /** A `\r` came, and what follows tells what it was. */
  #isReturned = false;

  /** Lines that `chunk` completes. */
  *push(chunk: Uint8Array): Generator<string> {
    let newline = -1;
    let carriageReturn = -1;
    for (let from = 0; from < chunk.length; ) {
      if (this.#isReturned) {
        const byte = chunk[from];
        if (byte === RETURN || byte === NUL) {
          from++;
          continue;
        }
        this.#isReturned = false;
        // Nothing was overwritten where the board ends its lines with `\n\r`.
        if (byte !== NEWLINE && this.#sizeBytes > 0) yield this.#take();
      }
      if (newline < from) newline = placeOf(NEWLINE, chunk, from);
      if (carriageReturn < from) carriageReturn = placeOf(RETURN, chunk, from);
      const end = Math.min(newline, carriageReturn);
      // Copied: the chunk is the caller's.
      this.#keep(chunk.slice(from, end));
      if (end === newline && end < chunk.length) yield this.#take();
      else this.#isReturned = end < chunk.length;
      from = end + 1;
    }
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

/** Its length when `byte` is not in it. */
function placeOf(byte: number, chunk: Uint8Array, from: number): number {
  const at = chunk.indexOf(byte, from);
  return at < 0 ? chunk.length : at;
}
