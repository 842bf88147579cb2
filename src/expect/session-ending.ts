import type { Clock, ClockTimer } from './clock.ts';
import { CrashAftermath } from './crash-aftermath.ts';
import type { Script } from './script.ts';
import type { SessionResults } from './session-tests.ts';
import type { StreamWatch, WatchEvent } from './stream-watch.ts';
import type { Transcript } from './transcript.ts';
import { type CrashReport, describeCrash } from './verdict.ts';

type CrashEvent = WatchEvent & { readonly kind: 'crash' };

/** Why it is no pass. */
export interface Problem {
  readonly text: string;
  readonly crash?: CrashReport;
  /** What in the board's lines tells of the crash. */
  readonly telling?: readonly string[];
  /** Where the rig has lost bytes, that may be why. */
  readonly mayBeLost?: boolean;
}

export interface EndingParts {
  readonly script: Script;
  readonly clock: Clock;
  readonly watch: StreamWatch;
  readonly transcript: Transcript;
  readonly results: SessionResults | undefined;
  /** Looks, and handles what that decides. */
  readonly look: (at: () => WatchEvent | undefined) => void;
  /** Told what has become of it; may be told more than once. */
  readonly onVerdict: (problem: Problem | undefined) => void;
  readonly detail: (text: string) => void;
}

/** How a session ends: a crash is read to its end first, a pass settles, and the tests have their say. */
export class SessionEnding {
  readonly #parts: EndingParts;
  #aftermath: CrashAftermath | undefined;
  #settling: ClockTimer | undefined;

  constructor(parts: EndingParts) {
    this.#parts = parts;
  }

  /** No step is to go on. */
  get hasBegun(): boolean {
    return this.#aftermath !== undefined || this.#settling !== undefined;
  }

  /** Whether all that was wanted has come, and a crash would still count. */
  get isSettling(): boolean {
    return this.#settling !== undefined && this.#aftermath === undefined;
  }

  crashed(event: CrashEvent): void {
    const { clock, watch } = this.#parts;
    const aftermath = new CrashAftermath(event, clock, () => this.#concludeCrash(aftermath));
    this.#aftermath = aftermath;
    this.#settling?.cancel();
    // What has come with the line is the dump's beginning.
    watch.readDump((bytes) => aftermath.push(bytes));
  }

  /** Everything has come that was wanted. */
  passed(): void {
    if (this.#aftermath) return;
    const { script, clock, watch, look } = this.#parts;
    const { settleMs = 0 } = script;
    if (settleMs === 0) {
      this.#conclude();
      return;
    }
    this.#settling ??= clock.after(settleMs, () => clock.onceRead(() => this.#settled()));
    look(() => watch.settle());
  }

  /** The watch has more from the board. */
  readOn(): void {
    const aftermath = this.#aftermath;
    if (aftermath) this.#parts.watch.readDump((bytes) => aftermath.push(bytes));
  }

  /** Nothing more can come. True when a crash that has begun says why, which is then told. */
  concludeCrash(): boolean {
    if (!this.#aftermath) return false;
    this.#concludeCrash(this.#aftermath);
    return true;
  }

  stop(): void {
    this.#aftermath?.stop();
    this.#settling?.cancel();
  }

  #settled(): void {
    const { watch, look } = this.#parts;
    if (this.#aftermath) return;
    look(() => watch.crashInUnfinishedLine());
    if (!this.#aftermath) this.#conclude();
  }

  #conclude(): void {
    this.#parts.onVerdict(this.#parts.results?.conclude());
  }

  #concludeCrash(aftermath: CrashAftermath): void {
    aftermath.stop();
    const { script, transcript, detail, onVerdict } = this.#parts;
    const { crash, telling } = aftermath.report(transcript);
    const text = describeCrash(crash);
    const { expectCrash } = script;
    const isWanted = expectCrash === 'any' || expectCrash?.some((family) => family === crash.family);
    if (isWanted) detail(`${text}, as expected`);
    onVerdict(isWanted ? undefined : { text, crash, telling });
  }
}
