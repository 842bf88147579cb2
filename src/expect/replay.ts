import { setImmediate as untilIdle } from 'node:timers/promises';
import { RigError } from '../base/errors.ts';
import { ChunkQueue } from '../tty/chunk-queue.ts';
import type { Console } from '../tty/console.ts';
import type { RunJig } from './jig-step.ts';
import { bytesOf, type RecordingEntry } from './recording.ts';
import type { Recording } from './recording-file.ts';
import { ReplayClock } from './replay-clock.ts';
import { quoted } from './text.ts';
import { NoUnreadBytes, type UnreadBytes } from './unread-bytes.ts';

/** How long after its place in the recording something may be sent, before it is said that it was not. */
const SEND_GRACE_MS = 2000;

/** A busy machine lets a reader wait for so long, rarely longer. */
const LATENESS_MS = 250;

/** What happened; the rest tells of the session itself. */
type Happening = RecordingEntry & { readonly is: 'in' | 'out' | 'quiet' | 'gone' | 'jig' };
type Jig = Happening & { readonly is: 'jig' };

/** A recording in the board's place: it says what the board said, when the board said it, after what it was sent. */
export class Replay {
  readonly clock = new ReplayClock(() => this.#readWaiting());
  readonly consoles: readonly ReplayConsole[];
  readonly #entries: readonly Happening[];
  readonly #onDifference: (text: string) => void;
  #next = 0;
  /** Whether 50 ms had passed since the last bytes. */
  #isQuiet = false;
  /** By how much the steps are later than those that were recorded. */
  #shiftMs = 0;
  readonly #jigs: { readonly sequence: string; readonly done: (error?: Error) => void }[] = [];
  #jigBegun: { readonly sequence: string; readonly done: (error?: Error) => void } | undefined;

  /** `onDifference` is told what the steps send, or have the jig do, otherwise than the recording has it. */
  constructor({ head, entries }: Recording, onDifference: (text: string) => void) {
    this.consoles = head.ttys.map(({ label }) => new ReplayConsole(label));
    this.#entries = entries.filter((entry) => isHappening(entry));
    this.#onDifference = onDifference;
  }

  get runJig(): RunJig {
    return async (sequence, signal) => {
      if (!this.#entries.slice(this.#next).some((entry) => isJig(entry, 'begin'))) {
        this.#onDifference(`--jig ${sequence}: the recording has no such run`);
        return undefined;
      }
      await new Promise<void>((resolve, reject) => {
        const done = (error?: Error): void => (error ? reject(error) : resolve());
        signal.addEventListener('abort', () => done(signal.reason as Error), { once: true });
        this.#jigs.push({ sequence, done });
      });
      return undefined;
    };
  }

  /** Lets time pass until `over` is settled, or nothing more will happen: then it resolves early. */
  async run(over: Promise<unknown>): Promise<void> {
    let isOver = false;
    const settled = (): void => {
      isOver = true;
    };
    over.then(settled, settled);
    for (;;) {
      await untilIdle();
      if (isOver || !this.#goOn()) break;
    }
    for (const { label, sent } of this.consoles)
      for (const bytes of sent)
        this.#onDifference(`${label}: sends ${quoted(bytes)}, which the recording lacks`);
  }

  /** One thing that happens; false when nothing is left. */
  #goOn(): boolean {
    const entry = this.#entries[this.#next];
    const timerMs = this.clock.nextMs;
    if (!entry) {
      this.clock.fireNext();
      return timerMs !== undefined;
    }
    const atMs = entry.ms + this.#shiftMs;
    if (this.#isAwaited(entry)) {
      const isDue = timerMs !== undefined && timerMs <= atMs + SEND_GRACE_MS;
      if (isDue) this.clock.fireNext();
      else this.#skip(entry);
      return true;
    }
    if (timerMs !== undefined && timerMs < atMs) {
      this.clock.fireNext();
      return true;
    }
    this.#next++;
    if (entry.is === 'out' || isJig(entry, 'begin')) this.#shiftMs = Math.max(0, this.clock.nowMs - entry.ms);
    else this.clock.advanceTo(atMs);
    this.#take(entry);
    return true;
  }

  /** Whether the steps have not yet done what comes next in the recording. */
  #isAwaited(entry: Happening): boolean {
    if (entry.is === 'out') return this.consoles[entry.tty]?.sent.length === 0;
    return isJig(entry, 'begin') && this.#jigs.length === 0;
  }

  #skip(entry: Happening): void {
    this.#next++;
    const label = this.consoles[entry.tty]?.label;
    if (entry.is === 'out')
      this.#onDifference(`${label}: does not send ${quoted(bytesOf(entry))}, as the recording does`);
    else if (entry.is === 'jig')
      this.#onDifference(`does not run --jig ${entry.sequence}, as the recording does`);
  }

  /**
   * Time for silence to decide something. Each time that it did so there is a mark in the recording; without one, the
   * reader was late, and what comes next was there already. Steps that were not recorded so have no marks: then only
   * what comes soon.
   */
  #readWaiting(): boolean {
    const entry = this.#entries[this.#next];
    const isMarked = this.#isQuiet || entry?.is === 'quiet';
    if (entry?.is === 'quiet') this.#next++;
    this.#isQuiet = false;
    if (isMarked || (entry?.is !== 'in' && entry?.is !== 'gone')) return false;
    const atMs = entry.ms + this.#shiftMs;
    if (atMs > this.clock.nowMs + LATENESS_MS) return false;
    this.#next++;
    this.clock.advanceTo(atMs);
    this.#take(entry);
    return true;
  }

  #take(entry: Happening): void {
    if (entry.is === 'in' || entry.is === 'quiet') this.#isQuiet = entry.is === 'quiet';
    const console = this.consoles[entry.tty];
    switch (entry.is) {
      case 'in':
        console?.say(bytesOf(entry));
        return;
      case 'out': {
        const recorded = bytesOf(entry);
        const bytes = console?.sent.shift() ?? recorded;
        if (!recorded.equals(bytes))
          this.#onDifference(
            `${console?.label}: sends ${quoted(bytes)} where the recording has ${quoted(recorded)}`,
          );
        return;
      }
      case 'gone':
        console?.goAway(new RigError('hardware', entry.error));
        return;
      case 'jig':
        this.#takeJig(entry);
        return;
      case 'quiet':
        return;
    }
  }

  #takeJig({ event, sequence, error }: Jig): void {
    if (event === 'begin') {
      this.#jigBegun = this.#jigs.shift();
      if (this.#jigBegun?.sequence !== sequence)
        this.#onDifference(`runs --jig ${this.#jigBegun?.sequence} where the recording has ${sequence}`);
      return;
    }
    this.#jigBegun?.done(error === undefined ? undefined : new RigError('unavailable', error));
    this.#jigBegun = undefined;
  }
}

function isHappening(entry: RecordingEntry): entry is Happening {
  return entry.is !== 'early' && entry.is !== 'line' && entry.is !== 'end';
}

function isJig(entry: Happening, event: Jig['event']): boolean {
  return entry.is === 'jig' && entry.event === event;
}

/** What has been recorded of one tty. */
class ReplayConsole implements Console {
  readonly label: string;
  readonly overruns = undefined;
  /** What has been sent and not been compared. */
  readonly sent: Uint8Array[] = [];
  readonly #queue = new ChunkQueue(() => {});

  constructor(label: string) {
    this.label = label;
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
    this.sent.push(Uint8Array.from(bytes));
  }

  async sendBreak(): Promise<void> {}

  drive(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue.end();
  }
}

/** What an earlier session had left when the recording began. */
export function recordedEarly({ entries }: Recording, tty: number): UnreadBytes {
  const early = entries.find((entry) => entry.is === 'early' && entry.tty === tty);
  if (early?.is !== 'early') return new NoUnreadBytes();
  return {
    load: () => ({ bytes: bytesOf(early), before: early.before }),
    append: () => true,
    replace: () => {},
  };
}
