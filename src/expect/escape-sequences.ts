/** What a board says to a terminal between the text: colours, cursor moves and queries, titles. */

/** Longer than any that means something; what goes on is text that only begins like one. */
const MAX_BYTES = 4096;

/** How many bytes of removed sequences are kept to be given back; the last ones. */
const KEPT_BYTES = 64 * 1024;

const ESCAPE = '\x1b';
const ESCAPE_BYTE = 0x1b;

/** Source: ECMA-48, 5.4 (CSI), 5.6 (OSC and other strings), 5.3 (the rest); xterm ends strings with BEL as well. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const WHOLE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const BEGUN = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\r\n]*\x1b?|[ -/]*)?$/y;

interface Removed {
  /** Offset in the plain text at which it stood. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Takes escape sequences out of a byte stream in any chunking, and remembers where the last ones stood. */
export class EscapeSequences {
  #begun: Uint8Array = new Uint8Array();
  /** How many bytes of the begun one are no longer anybody's: a sequence if it becomes one, else nothing. */
  #spentBytes = 0;
  #removed: Removed[] = [];
  #removedBytes = 0;

  /** What of `chunk`, and of what was held back before, is text; it goes to `offset` of the plain text. */
  strip(chunk: Uint8Array, offset: number): Uint8Array {
    if (this.#begun.length === 0 && !chunk.includes(ESCAPE_BYTE)) return chunk;
    const text = Buffer.concat([this.#begun, chunk]).toString('latin1');
    const spent = this.#spentBytes;
    this.#begun = new Uint8Array();
    this.#spentBytes = 0;
    let plain = '';
    for (let at = 0; at < text.length; ) {
      const next = text.indexOf(ESCAPE, at);
      plain += text.slice(at, next < 0 ? text.length : next);
      if (next < 0) break;
      const gone = next === 0 ? spent : 0;
      at = next;
      const whole = matchAt(WHOLE, text, at);
      if (whole !== undefined) this.#remember(offset + plain.length, whole.slice(gone));
      const begun = whole ?? matchAt(BEGUN, text, at);
      if (whole === undefined && begun !== undefined) {
        this.#begun = Buffer.from(begun, 'latin1');
        this.#spentBytes = gone;
      }
      if (begun === undefined && gone === 0) plain += ESCAPE;
      at += begun?.length ?? Math.max(gone, 1);
    }
    return Buffer.from(plain, 'latin1');
  }

  /** `plain`, which begins at `offset` and goes to the end, as it came. */
  restored(plain: Uint8Array, offset: number): Uint8Array {
    const pieces: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.#removed.filter((each) => each.at >= offset)) {
      pieces.push(plain.subarray(from, at - offset), bytes);
      from = at - offset;
    }
    return Buffer.concat([...pieces, plain.subarray(from), this.#begun.subarray(this.#spentBytes)]);
  }

  /** What stood before that place of the plain text will not be asked for again. */
  forgetBefore(offset: number): void {
    this.#removed = this.#removed.filter(({ at }) => at >= offset);
    this.#removedBytes = this.#removed.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Nothing of what came so far is to be given back, or to become text. */
  spend(): void {
    this.#removed = [];
    this.#removedBytes = 0;
    this.#spentBytes = this.#begun.length;
  }

  #remember(at: number, sequence: string): void {
    this.#removed.push({ at, bytes: Buffer.from(sequence, 'latin1') });
    this.#removedBytes += sequence.length;
    if (this.#removedBytes > 2 * KEPT_BYTES) this.#forgetFirst(this.#removedBytes - KEPT_BYTES);
  }

  #forgetFirst(bytes: number): void {
    let count = 0;
    for (let sum = 0; sum < bytes; count++) sum += this.#removed[count]?.bytes.length ?? bytes;
    this.#removed = this.#removed.slice(count);
    this.#removedBytes = this.#removed.reduce((sum, each) => sum + each.bytes.length, 0);
  }
}

function matchAt(sticky: RegExp, text: string, at: number): string | undefined {
  sticky.lastIndex = at;
  const found = sticky.exec(text)?.[0];
  return found !== undefined && found.length <= MAX_BYTES ? found : undefined;
}
