/** What became of a run, as one JSON object for programs. */

import { type Blame, RigError, reasonOf } from '../base/errors.ts';
import { EXIT_BUG, EXIT_STATUS, exitStatusOfSignal } from '../base/exit.ts';
import { Stopped } from '../base/run-main.ts';
import { findingOf } from '../findings/findings-file.ts';
import { WholeFile } from '../results/live-file.ts';
import { type ByteAccount, lostBytes } from './byte-account.ts';
import type { Step } from './script.ts';
import type { Matched } from './stream-watch.ts';
import { type CrashReport, ExpectationError, withoutTail } from './verdict.ts';

/** Of a loop without end, those before are only counted. */
const STEPS_LIMIT = 1000;

interface Outcome {
  readonly verdict: 'pass' | 'fail' | 'infra' | 'cancelled';
  readonly status?: number;
  readonly blame?: Blame | 'bug';
  readonly message?: string;
  readonly device?: string;
  readonly tty?: string;
  readonly step?: string;
  readonly crash?: CrashReport;
  readonly tail?: readonly string[];
}

/** How a run failed, and where. */
export interface FailedRun {
  readonly error: unknown;
  readonly tty: string | undefined;
}

/** Collects what is to be told, and tells it once. Until then its file says that the run has not ended. */
export class OutcomeReport {
  readonly #file: WholeFile | undefined;
  readonly #print: (text: string) => void;
  readonly #device: string | undefined;
  readonly #startMs = performance.now();
  #nowMs = (): number => performance.now() - this.#startMs;
  readonly #steps: object[] = [];
  #stepsBefore = 0;
  readonly #captures = new Map<string, string>();
  readonly #ttys: object[] = [];

  /**
   * `path` may be `-`, which is `print`.
   *
   * @throws {RigError} blame `usage` for what is no file, `config` for one that cannot be written
   */
  constructor(path: string, device: string | undefined, print: (text: string) => void) {
    this.#device = device;
    this.#print = print;
    if (path === '-') return;
    const verdict = { verdict: 'infra', message: 'sai-expect has not ended, or was killed' } as const;
    this.#file = new WholeFile(path, '--json', this.#textOf(verdict));
  }

  /** From here on, the time of a recording. */
  timeBy(nowMs: () => number): void {
    this.#nowMs = nowMs;
  }

  /** A step has been done on that tty. */
  step(tty: string, { text }: Step, matched: Matched | undefined): void {
    const what = matched ? { matched: textOf(matched.bytes) } : {};
    this.#steps.push({ tty, step: text, atMs: this.#roundedNow, ...what });
    if (this.#steps.length > STEPS_LIMIT) {
      this.#steps.shift();
      this.#stepsBefore++;
    }
    for (const [name, bytes] of Object.entries(matched?.captures?.named ?? {}))
      this.#captures.set(name, textOf(bytes ?? new Uint8Array()));
  }

  /** What was read of that tty, in the end. */
  account(tty: string, account: ByteAccount): void {
    const { bytesRead, logGapBytes } = account;
    this.#ttys.push({ tty, bytesRead, lostBytes: lostBytes(account), logGapBytes });
  }

  /** `failed` is undefined for a pass. @throws {RigError} blame `unavailable` for a file that cannot be written */
  finish(failed: FailedRun | undefined, stop: AbortSignal): void {
    const text = this.#textOf(outcomeOf(failed, stop));
    if (this.#file) this.#file.replace(text);
    else this.#print(text);
  }

  #textOf(outcome: Outcome): string {
    const whole = {
      ...outcome,
      ...(this.#device ? { device: this.#device } : {}),
      durationMs: this.#roundedNow,
      steps: this.#steps,
      ...(this.#stepsBefore > 0 ? { stepsBefore: this.#stepsBefore } : {}),
      captures: Object.fromEntries(this.#captures),
      ttys: this.#ttys,
    };
    return `${JSON.stringify(whole, null, 2)}\n`;
  }

  get #roundedNow(): number {
    return Math.round(this.#nowMs());
  }
}

function outcomeOf(failed: FailedRun | undefined, { reason }: AbortSignal): Outcome {
  if (reason instanceof Stopped)
    return { verdict: 'cancelled', status: exitStatusOfSignal(reason.signal), ...whereOf(failed, reason) };
  if (!failed) return { verdict: 'pass', status: 0 };
  const { error } = failed;
  const { verdict, blame } = findingOf('sai-expect', error);
  return {
    verdict,
    status: error instanceof RigError ? EXIT_STATUS[error.blame] : EXIT_BUG,
    blame,
    ...whereOf(failed, error),
  };
}

function whereOf(failed: FailedRun | undefined, reason: unknown): Partial<Outcome> {
  const { error = reason, tty } = failed ?? {};
  return {
    message: withoutTail(reasonOf(error)),
    ...(tty === undefined ? {} : { tty }),
    ...(error instanceof ExpectationError ? detailsOf(error) : {}),
  };
}

function detailsOf({ step, crash, tail }: ExpectationError): Partial<Outcome> {
  return { ...(step === undefined ? {} : { step }), ...(crash ? { crash } : {}), tail };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
