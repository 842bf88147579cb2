/** What a session is asked to do, as data. */

import type { DrivenLines } from '../tty/console.ts';
import type { CrashFamily } from '../wire/crash.ts';
import type { CrashWish } from './crash.ts';
import type { Transfer } from './file-transfer.ts';
import type { Pattern } from './matcher.ts';
import type { Sending } from './sending.ts';

/** One step, in the order given. `text` is the step as the user wrote it. */
export type Step = { readonly text: string } & (
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** The first of them to match. */
  | { readonly kind: 'expect'; readonly choice: readonly Pattern[]; readonly shown: string }
  | { readonly kind: 'pause'; readonly pauseMs: number }
  | { readonly kind: 'fresh' }
  | { readonly kind: 'jig'; readonly sequence: string }
  | { readonly kind: 'break'; readonly breakMs: number }
  | { readonly kind: 'drive'; readonly lines: DrivenLines }
  | { readonly kind: 'transfer'; readonly transfer: Transfer }
);

/** Whether only what comes from the step on can match afterwards: it may reset the board. */
export function beginsAfresh({ kind }: Step): boolean {
  return kind === 'fresh' || kind === 'jig' || kind === 'break' || kind === 'drive';
}

/** Steps, then a pass pattern if there is one. */
export interface Script {
  readonly steps: readonly Step[];
  /** As users wrote them. */
  readonly pass: readonly ArmedPattern[];
  readonly fail: readonly ArmedPattern[];
  readonly crash: CrashWish;
  /** A crash of one of these is what is wanted: the script passes with it, and not without. */
  readonly expectCrash?: 'any' | readonly CrashFamily[];
  /** How long a crash or a fail pattern still counts after everything has passed. */
  readonly settleMs?: number;
  /** All at once by default. */
  readonly sending?: Sending;
  /** What is between the text: whether patterns see it. */
  readonly escapeSequences: 'seen' | 'ignored';
}

/** A pattern that ends the session whenever it comes. */
export interface ArmedPattern {
  readonly pattern: Pattern;
  /** As messages show it: `"Completed: PASS"`. */
  readonly shown: string;
}
