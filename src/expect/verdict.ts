import { formatDuration } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';
import { quoted } from './text.ts';
import type { Tail } from './transcript.ts';

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

/**
 * Why a session did not pass; the tail is what the board said last. The message is one line, after which a command shows
 * the tail; for a program, which shows nothing but the message, the tail is part of it.
 */
export class ExpectationError extends RigError {
  /** The step as the user wrote it, where there was one. */
  readonly step: string | undefined;
  /** The last lines that arrived, oldest first, control bytes made visible; marked if from before a fresh start. */
  readonly tail: readonly string[];
  readonly crash: CrashReport | undefined;

  constructor(
    blame: Blame,
    message: string,
    details: {
      readonly step: string | undefined;
      readonly tail: Tail;
      readonly tailIn?: 'its field' | 'the message';
      readonly crash?: CrashReport | undefined;
      readonly cause?: unknown;
    },
  ) {
    const lines = details.tailIn === 'the message' ? details.tail.lines.map((line) => `\n  | ${line}`) : [];
    super(blame, `${message}${endingOf(details.tail)}${lines.join('')}`, { cause: details.cause });
    this.step = details.step;
    this.tail = details.tail.lines;
    this.crash = details.crash;
  }
}

function endingOf({ lines, silentSince }: Tail): string {
  if (lines.length === 0) return '; nothing arrived';
  return silentSince === undefined ? '; last lines:' : `; nothing arrived since ${silentSince}; last lines:`;
}

/** Where no tail follows: without the words that announce one. */
export function withoutTail(message: string): string {
  return message.replace(/; (?:last lines:|nothing arrived)$/, '');
}

/** Reason of the abort when time is over: of the run, as `--timeout` has it, or of one step or call. */
export class TimeUp extends Error {
  readonly timeoutMs: number;
  readonly of: 'the run' | 'a part';

  constructor(timeoutMs: number, of: TimeUp['of'] = 'a part') {
    super(`time is up after ${formatDuration(timeoutMs)}`);
    this.name = 'TimeUp';
    this.timeoutMs = timeoutMs;
    this.of = of;
  }
}
