/** What test frameworks tell on a console, whichever they are. */

/** `crash`: it was running when the board crashed or fell silent. `missing`: it was announced and never told of. */
export type TestStatus = 'pass' | 'fail' | 'skip' | 'crash' | 'missing';

/** One test, as the board told of it. */
export interface TestResult {
  readonly suite?: string;
  readonly name: string;
  readonly status: TestStatus;
  /** Why it did not pass, one line. */
  readonly message?: string;
  /** As the board gives it: where the failed check stands. */
  readonly file?: string;
  readonly line?: number;
  readonly durationMs?: number;
}

/** What one line of output says about tests. */
export type ResultEvent =
  /** A run of tests begins. */
  | { readonly kind: 'begin' }
  /** So many tests will be run, or have been. */
  | { readonly kind: 'plan'; readonly tests: number; readonly reason?: string }
  | { readonly kind: 'suite'; readonly suite: string }
  | { readonly kind: 'suite over'; readonly suite: string; readonly verdict: 'pass' | 'fail' }
  /** The board starts: whatever ran has ended. */
  | { readonly kind: 'boot' }
  | { readonly kind: 'running'; readonly suite?: string; readonly name: string }
  /** In TAP a point may lack its number, and then its name is empty where it says nothing else. */
  | {
      readonly kind: 'result';
      readonly result: TestResult;
      readonly number?: number;
      readonly isVague?: true;
    }
  /** Told again in a list at the end. */
  | { readonly kind: 'listed'; readonly result: TestResult }
  /** Belongs to the test that is running, or to the one before. */
  | { readonly kind: 'message'; readonly text: string; readonly file?: string; readonly line?: number }
  /** Totals, for a whole run or one suite of it. */
  | {
      readonly kind: 'totals';
      readonly tests: number;
      readonly failed: number;
      readonly skipped?: number;
      readonly suite?: string;
    }
  | { readonly kind: 'bail'; readonly reason: string }
  /** Nothing more belongs to this run; with `passed`, only when all tests but the skipped ones have. */
  | { readonly kind: 'over'; readonly verdict: 'pass' | 'fail'; readonly passed?: number };

export const RESULT_FORMATS = ['unity', 'ztest', 'gtest', 'tap'] as const;
export type ResultFormatName = (typeof RESULT_FORMATS)[number];

/** How one framework prints. Without state, so that a line can be tried both as it is and put together. */
export interface ResultFormat {
  readonly name: ResultFormatName;
  /** What a line says; undefined when nothing. No line end in it, no colours, no `\r`. */
  parse(line: string): ResultEvent | undefined;
  /** What a result line begins with that has been cut. */
  readonly begun: RegExp;
  /** What ends a run, for messages. */
  readonly ending: string;
}
