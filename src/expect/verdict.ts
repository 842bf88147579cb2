import { formatDuration } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';
import { quoted } from './text.ts';

/** What a board told of its crash. */
export interface CrashReport {
  readonly family: string;
  /** The line that told. */
  readonly line: string;
  /** `pc 0x400d1234, task main`; empty when the dump says nothing of the kind. */
  readonly evidence: string;
}

export function describeCrash({ family, line, evidence }: CrashReport): string {
  const more = evidence === '' ? '' : ` (${evidence})`;
  return `the board crashed (${family}): ${quoted(Buffer.from(line, 'latin1'), 200)}${more}`;
}

/** Why a session did not pass. The message is one line; the tail is what the board said last. */
export class ExpectationError extends RigError {
  /** The step as the user wrote it, where there was one. */
  readonly step: string | undefined;
  /** The last lines that arrived, oldest first, control bytes made visible. */
  readonly tail: readonly string[];
  readonly crash: CrashReport | undefined;

  constructor(
    blame: Blame,
    message: string,
    details: {
      readonly step: string | undefined;
      readonly tail: readonly string[];
      readonly crash?: CrashReport | undefined;
      readonly cause?: unknown;
    },
  ) {
    const ending = details.tail.length === 0 ? '; nothing arrived' : '; last lines:';
    super(blame, `${message}${ending}`, { cause: details.cause });
    this.step = details.step;
    this.tail = details.tail;
    this.crash = details.crash;
  }
}

/** Reason of the abort when `--timeout` is over. */
export class TimeUp extends Error {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`time is up after ${formatDuration(timeoutMs)}`);
    this.name = 'TimeUp';
    this.timeoutMs = timeoutMs;
  }
}
