import type { RigError } from '../base/errors.ts';
import { ChunkQueue } from '../tty/chunk-queue.ts';
import type { Console, DrivenLines } from '../tty/console.ts';
import { pause } from './clock.ts';
import { breakAsText, linesAsText } from './recording.ts';
import type { ReplayClock } from './replay-clock.ts';

/** What steps do to a board. Some of it ends only when the recording says so. */
export type Act =
  | { readonly is: 'out'; readonly bytes: Uint8Array }
  /** `done` is called when a break begins. */
  | { readonly is: 'line'; readonly what: string; readonly done?: () => void }
  | { readonly is: 'jig'; readonly what: string; readonly done: (error?: Error) => void }
  | { readonly is: 'file'; readonly what: string; readonly done: (end: FileEnd) => void };

/** What the recording has of something done to a line. */
export interface RecordedLine {
  /** Whether anything at all is still done to one. */
  readonly isToCome: boolean;
  /** Why it could not be done. */
  readonly failure: RigError | undefined;
}

/** What the recording has of a transfer's end. */
export interface FileEnd {
  readonly failure: string | undefined;
  readonly error: Error | undefined;
  /** Of the last bytes that came: how many the program has left. */
  readonly leftBytes: number;
}

/** What has been recorded of one tty. */
export class ReplayConsole implements Console {
  readonly label: string;
  readonly overruns = undefined;
  /** What has been done and not been compared, in order. */
  readonly acts: Act[] = [];
  /** As it was recorded, of a tty that was followed. */
  isAway = false;
  readonly #clock: ReplayClock;
  readonly #lookUp: (what: string) => RecordedLine;
  readonly #queue = new ChunkQueue(() => {});

  /** `lookUp` tells what the recording has of what is about to be done to a line. */
  constructor(label: string, clock: ReplayClock, lookUp: (what: string) => RecordedLine) {
    this.label = label;
    this.#clock = clock;
    this.#lookUp = lookUp;
  }

  get bytes(): AsyncIterable<Uint8Array> {
    return this.#queue;
  }

  say(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#queue.push(bytes);
  }

  goAway(error: Error): void {
    this.#queue.end(error);
  }

  async send(bytes: Uint8Array): Promise<void> {
    this.acts.push({ is: 'out', bytes: Uint8Array.from(bytes) });
  }

  async sendBreak(breakMs: number, signal: AbortSignal = new AbortController().signal): Promise<void> {
    const what = breakAsText(breakMs);
    const { isToCome, failure } = this.#lookUp(what);
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.acts.push({ is: 'line', what, done: resolve });
      if (!isToCome) resolve();
    });
    await pause(this.#clock, breakMs, signal);
    if (failure) throw failure;
  }

  drive(lines: DrivenLines): void {
    const what = linesAsText(lines);
    const { failure } = this.#lookUp(what);
    if (failure) throw failure;
    this.acts.push({ is: 'line', what });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue.end();
  }
}
