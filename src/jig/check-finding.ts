import type { Blame } from '../base/errors.ts';

/** One thing that `sai-jig --check` has to say. */
export interface CheckFinding {
  /** An error decides the exit status, by its blame; a remark may be what its author wants. */
  readonly severity: 'error' | 'remark';
  readonly code:
    | 'config'
    | 'no-address'
    | 'interlock'
    | 'max-active'
    | 'left-active'
    | 'unused'
    | 'same-wire'
    | 'same-outlet'
    | 'unsafe-let-go'
    | 'chip-refuses'
    | 'chip-not-asked'
    | 'line-held'
    | 'kept-outputs'
    | 'power-unreachable'
    | 'power-not-asked';
  readonly blame?: Blame;
  readonly target?: string;
  readonly line?: string;
  readonly sequence?: string;
  /** Path of the step inside the sequence. */
  readonly step?: string;
  /** The whole of it in one line. */
  readonly text: string;
}
