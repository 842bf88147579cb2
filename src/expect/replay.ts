import { setImmediate as untilIdle } from 'node:timers/promises';
import { RigError } from '../base/errors.ts';
import type { Clock } from './clock.ts';
import { type StartTransfer, transferName } from './file-transfer.ts';
import type { RunJig } from './jig-step.ts';
import { QUIET_MS } from './quiet-timer.ts';
import { bytesOf, type RecordingEntry } from './recording.ts';
import type { Recording } from './recording-file.ts';
import { ReplayClock } from './replay-clock.ts';
import { type Act, type FileEnd, type RecordedLine, ReplayConsole } from './replay-console.ts';
import { quoted } from './text.ts';
import { NoUnreadBytes, type UnreadBytes } from './unread-bytes.ts';
import { type PromiseWithResolvers, withResolvers } from './with-resolvers.ts';

/** How long after its place in the recording something may be sent, before it is said that it was not. */
const SEND_GRACE_MS = 2000;

/** A busy machine lets a reader wait for so long, rarely longer. */
const LATENESS_MS = 400;

/** Two marks of one tty are 50 ms apart: an older one is of another silence, such as one before a fresh step. */
const SAME_QUIET_MS = 25;

/** What happened; the rest tells of the session itself. */
type Happening = RecordingEntry & {
  readonly is: 'open' | 'away' | 'back' | 'in' | 'out' | 'quiet' | 'gone' | 'jig' | 'line' | 'file';
};

/** One tty of the recording, as far as it has been replayed. */
interface Track {
  readonly console: ReplayConsole;
  readonly happenings: readonly Happening[];
  next: number;
  /** When silence last decided something, if nothing has come since. */
  quietAtMs: number | undefined;
  /** What is in and out belongs to a transfer. */
  isTransferring: boolean;
  /** What the steps wait for the end of. */
  begun: Act | undefined;
  readonly opened: PromiseWithResolvers<void>;
}

/** A recording in the board's place: it says what the board said, when the board said it, after what it was sent. */
export class Replay {
  readonly #clock = new ReplayClock();
  readonly #tracks: readonly Track[];
  readonly #happenings: readonly Happening[];
  readonly #onDifference: (text: string) => void;
  readonly #isAlone: boolean;
  /** Of all; those of one tty may be ahead. */
  #next = 0;
  readonly #done = new Set<Happening>();
  /** By how much the steps are later than those that were recorded. */
  #shiftMs = 0;

  /**
   * `ttys` are those that there are steps for, by index. `onDifference` is told what the steps do otherwise than the
   * recording has it.
   */
  constructor({ head, entries }: Recording, ttys: readonly number[], onDifference: (text: string) => void) {
    this.#onDifference = onDifference;
    this.#isAlone = ttys.length === 1;
    this.#happenings = entries.filter((entry) => isHappening(entry)).filter(({ tty }) => ttys.includes(tty));
    this.#tracks = head.ttys.map(({ label }, tty) => ({
      console: new ReplayConsole(label, this.#clock, (what) => this.#lineOf(tty, what)),
      happenings: this.#happenings.filter((entry) => entry.tty === tty),
      next: 0,
      quietAtMs: undefined,
      isTransferring: false,
      begun: undefined,
      opened: withResolvers<void>(),
    }));
    for (const { happenings, opened } of this.#tracks)
      if (!happenings.some(({ is }) => is === 'open')) opened.resolve();
  }

  /** Since the recording began. */
  get nowMs(): number {
    return this.#clock.nowMs;
  }

  console(tty: number): ReplayConsole {
    return this.#trackOf(tty).console;
  }

  /** The time of the recording, as who reads that tty knows it. */
  clock(tty: number): Clock {
    const track = this.#trackOf(tty);
    const clock = this.#clock;
    return {
      get nowMs() {
        return clock.nowMs;
      },
      after: (ms, act) => clock.after(ms, act, track),
      onceRead: (act) => {
        if (this.#readWaiting(track)) setImmediate(act);
        else act();
      },
    };
  }

  /** Resolves when steps on that tty begin; at the latest with `until`. */
  async opened(tty: number, until: AbortSignal): Promise<void> {
    const { opened } = this.#trackOf(tty);
    until.addEventListener('abort', () => opened.resolve(), { once: true });
    await opened.promise;
  }

  jig(tty: number): RunJig {
    const { console } = this.#trackOf(tty);
    return async (sequence, signal) => {
      if (!this.#isToCome(tty, 'jig')) {
        this.#onDifference(`--jig ${sequence}: the recording has no such run`);
        return undefined;
      }
      await new Promise<void>((resolve, reject) => {
        const done = (error?: Error): void => (error ? reject(error) : resolve());
        signal.addEventListener('abort', () => done(signal.reason as Error), { once: true });
        console.acts.push({ is: 'jig', what: sequence, done });
      });
      return undefined;
    };
  }

  /** No file is read or written. */
  transfers(tty: number): StartTransfer {
    const { console } = this.#trackOf(tty);
    return (transfer) => {
      const what = transferName(transfer);
      const isToCome = this.#isToCome(tty, 'file');
      const heard: Uint8Array[] = [];
      const ended = new Promise<FileEnd>((done) => {
        if (isToCome) console.acts.push({ is: 'file', what, done });
        else done({ failure: undefined, error: undefined, leftBytes: Number.POSITIVE_INFINITY });
      });
      if (!isToCome) this.#onDifference(`${what} ${transfer.path}: the recording has no such transfer`);
      return {
        push: (chunk) => void heard.push(chunk),
        end: async (signal) => {
          const aborted = new Promise<never>((_resolve, reject) => {
            const stop = (): void => reject(signal.reason as Error);
            if (signal.aborted) stop();
            signal.addEventListener('abort', stop, { once: true });
          });
          const { failure, error, leftBytes } = await Promise.race([ended, aborted]);
          if (error) throw error;
          const all = Buffer.concat(heard);
          return { failure, rest: all.subarray(Math.max(0, all.length - leftBytes)) };
        },
      };
    };
  }

  /** When time is up, by the recording's. */
  after(ms: number, act: () => void): void {
    this.#clock.after(ms, act);
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
    for (const track of this.#tracks) this.#compareLast(track);
  }

  /** What the steps did just before they were over, and the recording has as well. */
  #compareLast(track: Track): void {
    for (const act of track.console.acts.splice(0)) {
      const at = track.happenings.findIndex(
        (entry, index) => index >= track.next && entry.is === act.is && isAct(entry, track),
      );
      const entry = track.happenings[at];
      if (entry && isAct(entry, track)) {
        this.#compare(entry, act, track.console);
        track.next = at + 1;
        // Of several ttys, the others may have been stopped a little earlier then.
      } else if (this.#isAlone) this.#tellLacking(track.console, act);
    }
  }

  /** One thing that happens; false when nothing is left. */
  #goOn(): boolean {
    const entry = this.#upcoming();
    const timerMs = this.#clock.nextMs;
    if (!entry) {
      this.#clock.fireNext();
      return timerMs !== undefined;
    }
    const track = this.#trackOf(entry.tty);
    const atMs = entry.ms + this.#shiftMs;
    if (isAct(entry, track) && !this.#hasBeenDone(entry, track)) {
      const isDue = timerMs !== undefined && timerMs <= atMs + SEND_GRACE_MS;
      if (isDue) this.#clock.fireNext();
      else this.#skip(entry, track);
      return true;
    }
    if (timerMs !== undefined && timerMs < atMs) {
      this.#clock.fireNext();
      return true;
    }
    this.#clock.advanceTo(atMs); // also where the steps were earlier: what they do next began then
    if (isAct(entry, track)) this.#shiftMs = Math.max(0, this.#clock.nowMs - entry.ms);
    this.#take(entry, track);
    return true;
  }

  #upcoming(): Happening | undefined {
    for (;;) {
      const entry = this.#happenings[this.#next];
      if (!entry || !this.#done.delete(entry)) return entry;
      this.#next++;
    }
  }

  /** It is the next one of its tty. */
  #pass(entry: Happening, track: Track): void {
    track.next++;
    if (this.#happenings[this.#next] === entry) this.#next++;
    else this.#done.add(entry);
  }

  /** Whether the steps have done what comes next in the recording; what they did before it is told. */
  #hasBeenDone(entry: Happening, { console }: Track): boolean {
    const at = console.acts.findIndex(({ is }) => is === entry.is);
    for (const act of console.acts.splice(0, Math.max(0, at))) this.#tellLacking(console, act);
    return at >= 0;
  }

  #tellLacking({ label }: ReplayConsole, act: Act): void {
    const what = act.is === 'out' ? `sends ${quoted(act.bytes)}` : doing(act);
    this.#onDifference(`${label}: ${what}, which the recording lacks`);
    if (act.is === 'file') act.done({ failure: undefined, error: undefined, leftBytes: 0 });
    else if (act.is !== 'out') act.done?.();
  }

  #skip(entry: Happening, track: Track): void {
    this.#pass(entry, track);
    const { label } = track.console;
    const missing = {
      out: () => `${label}: does not send ${quoted(bytesOf(entry as Entry<'out'>))}`,
      jig: () => `does not run --jig ${(entry as Entry<'jig'>).sequence}`,
      line: () => `${label}: does not do ${(entry as Entry<'line'>).what}`,
      file: () => `${label}: does not do ${(entry as Entry<'file'>).what}`,
    }[entry.is as Act['is']]();
    this.#onDifference(`${missing}, as the recording does`);
    if (entry.is === 'file') track.isTransferring = true;
  }

  /**
   * Time for silence to decide something. Each time that it did so there is a mark in the recording; without one, the
   * reader was late, and what comes next was there already. Steps that were not recorded so have no marks: then only
   * what comes soon.
   */
  #readWaiting(track: Track): boolean {
    const entry = track.happenings[track.next];
    const { quietAtMs = Number.NEGATIVE_INFINITY } = track;
    const isPassed = quietAtMs > this.#clock.nowMs - SAME_QUIET_MS;
    const isMarked = isPassed || entry?.is === 'quiet';
    // One mark each: what comes after the one that has passed is of the next quiet.
    if (!isPassed && entry?.is === 'quiet') this.#pass(entry, track);
    track.quietAtMs = undefined;
    if (isMarked || (entry?.is !== 'in' && entry?.is !== 'gone')) return false;
    const atMs = entry.ms + this.#shiftMs;
    if (atMs > this.#clock.nowMs + LATENESS_MS) return false;
    this.#clock.advanceTo(atMs);
    this.#take(entry, track);
    return true;
  }

  #take(entry: Happening, track: Track): void {
    this.#pass(entry, track);
    const { console } = track;
    if (entry.is === 'in') track.quietAtMs = undefined;
    switch (entry.is) {
      case 'in':
        console.say(bytesOf(entry));
        return;
      case 'away':
      case 'back':
        console.isAway = entry.is === 'away';
        return;
      case 'gone':
        console.goAway(new RigError('hardware', entry.error));
        return;
      case 'jig':
      case 'file':
        if (entry.event === 'begin') this.#begin(entry, track);
        else this.#end(entry, track);
        return;
      case 'out':
      case 'line':
        if (isAct(entry, track)) this.#compare(entry, console.acts.shift(), console);
        return;
      case 'open':
        track.opened.resolve();
        return;
      case 'quiet':
        track.quietAtMs = this.#clock.nowMs;
        // Timers go by when a round of reading began: a little earlier than what was read in it is marked.
        this.#clock.hasten(track, QUIET_MS);
        return;
    }
  }

  #begin(entry: Entry<'jig' | 'file'>, track: Track): void {
    track.begun = track.console.acts.shift();
    track.isTransferring = entry.is === 'file';
    this.#compare(entry, track.begun, track.console);
  }

  #end(entry: Entry<'jig' | 'file'>, track: Track): void {
    const { begun } = track;
    const error =
      entry.error === undefined ? undefined : new RigError(entry.blame ?? 'unavailable', entry.error);
    track.isTransferring = false;
    track.begun = undefined;
    if (begun?.is === 'jig') begun.done(error);
    if (begun?.is === 'file' && entry.is === 'file')
      begun.done({ failure: entry.failure, error, leftBytes: entry.leftBytes ?? 0 });
  }

  #compare(entry: Entry<Act['is']>, act: Act | undefined, { label }: ReplayConsole): void {
    if (!act) return;
    if (act.is === 'line') act.done?.();
    if (act.is === 'out') {
      const recorded = entry.is === 'out' ? bytesOf(entry) : Buffer.alloc(0);
      if (recorded.equals(act.bytes)) return;
      this.#onDifference(`${label}: sends ${quoted(act.bytes)} where the recording has ${quoted(recorded)}`);
      return;
    }
    const recorded = entry.is === 'jig' ? entry.sequence : entry.is === 'out' ? '' : entry.what;
    if (recorded === act.what) return;
    this.#onDifference(`${label}: ${doing(act)} where the recording has ${recorded}`);
  }

  #isToCome(tty: number, is: 'jig' | 'file'): boolean {
    const { happenings, next } = this.#trackOf(tty);
    return happenings.slice(next).some((entry) => entry.is === is && entry.event === 'begin');
  }

  /** A line fails at once, or, of a break, after it has begun. */
  #lineOf(tty: number, what: string): RecordedLine {
    const { happenings, next } = this.#trackOf(tty);
    const lines = happenings.slice(next).filter((entry) => entry.is === 'line');
    const failed = lines.slice(0, 2).find((entry) => entry.what === what && entry.error !== undefined);
    return {
      isToCome: lines.some(({ error }) => error === undefined),
      failure: failed && new RigError(failed.blame ?? 'hardware', failed.error ?? ''),
    };
  }

  #trackOf(tty: number): Track {
    const track = this.#tracks[tty];
    if (!track) throw new Error(`the recording has no tty ${tty}`);
    return track;
  }
}

function doing(act: Act & { readonly what: string }): string {
  return act.is === 'jig' ? `runs --jig ${act.what}` : `does ${act.what}`;
}

type Entry<Is extends Happening['is']> = Happening & { readonly is: Is };

function isHappening(entry: RecordingEntry): entry is Happening {
  return entry.is !== 'early' && entry.is !== 'end';
}

/** What the steps have to do, before the recording goes on. */
function isAct(entry: Happening, { isTransferring }: Track): entry is Entry<Act['is']> {
  switch (entry.is) {
    case 'out':
      return !isTransferring;
    case 'line':
      return entry.error === undefined;
    case 'jig':
    case 'file':
      return entry.event === 'begin';
    default:
      return false;
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
