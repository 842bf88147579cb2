import { formatDuration } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';

/** Why a session did not pass. The message is one line; the tail is what the board said last. */
export class ExpectationError extends RigError {
  /** The step as the user wrote it, where there was one. */
  readonly step: string | undefined;
  /** The last lines that arrived, oldest first, control bytes made visible. */
  readonly tail: readonly string[];

  constructor(
    blame: Blame,
    message: string,
    details: {
      readonly step: string | undefined;
      readonly tail: readonly string[];
      readonly cause?: unknown;
    },
  ) {
    const ending = details.tail.length === 0 ? '; nothing arrived' : '; last lines:';
    super(blame, `${message}${ending}`, { cause: details.cause });
    this.step = details.step;
    this.tail = details.tail;
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
