/** What a session is asked to do, as data. */

import type { Pattern } from './matcher.ts';

/** One step, in the order given. `text` is the step as the user wrote it. */
export type Step = { readonly text: string } & (
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'expect'; readonly pattern: Pattern; readonly shown: string }
  | { readonly kind: 'pause'; readonly pauseMs: number }
  | { readonly kind: 'fresh' }
  | { readonly kind: 'jig'; readonly sequence: string }
);

/** Steps, then a pass text if there is one. */
export interface Script {
  readonly steps: readonly Step[];
  /** As users wrote them, before escapes were resolved. */
  readonly pass: readonly ArmedText[];
  readonly fail: readonly ArmedText[];
  readonly crash: 'auto' | 'none';
}

/** A text that ends the session whenever it comes. */
export interface ArmedText {
  readonly bytes: Uint8Array;
  /** As messages show it: `"Completed: PASS"`. */
  readonly shown: string;
}
