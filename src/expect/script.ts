/** What a session is asked to do, as data. */

import type { CrashFamily } from '../wire/crash.ts';
import type { CrashWish } from './crash.ts';
import type { Pattern } from './matcher.ts';

/** One step, in the order given. `text` is the step as the user wrote it. */
export type Step = { readonly text: string } & (
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** The first of them to match. */
  | { readonly kind: 'expect'; readonly choice: readonly Pattern[]; readonly shown: string }
  | { readonly kind: 'pause'; readonly pauseMs: number }
  | { readonly kind: 'fresh' }
  | { readonly kind: 'jig'; readonly sequence: string }
);

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
  /** What is between the text: whether patterns see it. */
  readonly escapeSequences: 'seen' | 'ignored';
}

/** A pattern that ends the session whenever it comes. */
export interface ArmedPattern {
  readonly pattern: Pattern;
  /** As messages show it: `"Completed: PASS"`. */
  readonly shown: string;
}
