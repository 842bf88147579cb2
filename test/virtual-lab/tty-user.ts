import { constants, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';

const LIMIT_MS = 10_000;

/** Somebody who has a tty open: types, reads, and notices when the cable is taken out. */
export class TtyUser implements AsyncDisposable {
  /** Resolves when the tty hangs up. */
  readonly hungUp: Promise<void>;
  readonly #fd: number;
  readonly #stream: ReadStream;
  readonly #limitMs: number;
  #unread = '';
  #arrived: () => void = () => {};

  /** `limitMs` is how long it waits for a text. */
  constructor(path: string, limitMs = LIMIT_MS) {
    this.#limitMs = limitMs;
    this.#fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    this.#stream = new ReadStream(this.#fd);
    this.#stream.on('data', (chunk) => {
      this.#unread += chunk.toString('latin1');
      this.#arrived();
    });
    this.#stream.on('error', () => {}); // EIO: a hang-up, and `close` follows
    this.hungUp = new Promise((resolve) => {
      this.#stream.once('end', () => resolve());
      this.#stream.once('close', () => resolve());
    });
  }

  /** Short texts only. @throws when the tty does not take all of it at once: the kernel keeps a few kilobytes */
  type(text: string): void {
    const taken = writeSync(this.#fd, text);
    if (taken < Buffer.byteLength(text)) throw new Error(`the tty took ${taken} bytes of ${text.length}`);
  }

  /** Everything up to and with `text`; what comes after it is left for the next call. */
  async until(text: string): Promise<string> {
    const late = new Error(`expected ${JSON.stringify(text)}`);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        late.message += `, got ${JSON.stringify(this.#unread.slice(-500))}`;
        reject(late);
      }, this.#limitMs);
    });
    try {
      while (!this.#unread.includes(text)) {
        const arrival = new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
        await Promise.race([arrival, limit]);
      }
    } finally {
      clearTimeout(timer);
    }
    const end = this.#unread.indexOf(text) + text.length;
    const said = this.#unread.slice(0, end);
    this.#unread = this.#unread.slice(end);
    return said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stream.closed) return;
    const closed = new Promise((resolve) => this.#stream.once('close', resolve));
    this.#stream.destroy();
    await closed;
  }
}
