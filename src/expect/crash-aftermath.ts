import type { Clock, ClockTimer } from './clock.ts';
import { CrashDump, DUMP_LIMIT_MS, DUMP_QUIET_MS, evidenceIn } from './crash-dump.ts';
import type { WatchEvent } from './stream-watch.ts';
import type { Transcript } from './transcript.ts';
import type { CrashReport } from './verdict.ts';

/** Lines before the crash's own that may belong to it: some print their registers first. */
const LINES_BEFORE = 40;

/** Reads a crash to its end, so that the log has all of it, and then says what happened. */
export class CrashAftermath {
  readonly #event: WatchEvent & { readonly kind: 'crash' };
  readonly #dump: CrashDump;
  readonly #onOver: () => void;
  readonly #limit: ClockTimer;
  readonly #quiet: ClockTimer;
  #isOver = false;

  /** `onOver` is called once: when the dump has ended, the board is quiet, or it goes on for too long. */
  constructor(event: WatchEvent & { readonly kind: 'crash' }, clock: Clock, onOver: () => void) {
    this.#event = event;
    this.#onOver = onOver;
    this.#dump = new CrashDump(event.family);
    this.#limit = clock.after(DUMP_LIMIT_MS, () => this.#end());
    this.#quiet = clock.after(DUMP_QUIET_MS, () => clock.onceRead(() => this.#end()));
  }

  /** How many more of the bytes that it has been given belong to the crash; none once it is over. */
  push(chunk: Uint8Array): number {
    if (this.#isOver) return 0;
    const used = this.#dump.push(chunk);
    if (this.#dump.isOver) this.#end();
    else this.#quiet.refresh();
    return used;
  }

  /** Waits no longer. */
  stop(): void {
    this.#isOver = true;
    this.#limit.cancel();
    this.#quiet.cancel();
  }

  /** With what of the dump tells it, as it stands in its lines. */
  report(transcript: Transcript): { readonly crash: CrashReport; readonly telling: readonly string[] } {
    const { family, line } = this.#event;
    const lines = transcript.lines().map((each) => each.replaceAll(/\\e\[[\d;]*[A-Za-z]|\\r$/g, ''));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of the line
    const shown = line.replaceAll(/\x1b\[[\d;]*[A-Za-z]/g, '').slice(0, 40);
    const at = lines.findLastIndex((each) => each.includes(shown));
    const text = lines.slice(Math.max(0, at - LINES_BEFORE)).join('\n');
    const { told, values } = evidenceIn(family, line, text);
    return { crash: { family, line, evidence: told }, telling: [shown, ...values] };
  }

  #end(): void {
    if (this.#isOver) return;
    this.stop();
    this.#onOver();
  }
}
