/** What a session is asked to do, as data. */

import type { DrivenLines } from '../tty/console.ts';
import type { CrashFamily } from '../wire/crash.ts';
import type { CrashWish } from './crash.ts';
import type { Transfer } from './file-transfer.ts';
import type { Pattern } from './matcher.ts';
import type { Sending } from './sending.ts';

/** Something to do. `text` is the step as the user wrote it. */
export type Step = { readonly text: string; readonly withinMs?: number } & (
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

/** By name: what regexes have captured, raw. */
export type Variables = ReadonlyMap<string, Uint8Array>;

/**
 * Where to go on, in a list of instructions; without one, at the next. A place just past the last one is the end.
 * All of them are checked when a script is loaded: every place exists, and no round is without a limit.
 */
export type Control =
  /** A step that holds what only a run can know. */
  | {
      readonly kind: 'late';
      /** The same, with a letter for each captured text. */
      readonly like: Step;
      readonly uses: ReadonlySet<string>;
      /** @throws {RigError} blame `config` when there is no such step with these values */
      readonly fill: (variables: Variables) => Step;
    }
  /** One place for each pattern of the choice. */
  | { readonly kind: 'choose'; readonly step: Step | LateStep; readonly to: readonly number[] }
  | { readonly kind: 'goto'; readonly to: number }
  /** Fails when it comes by more than `limit` times since the last reset. */
  | { readonly kind: 'count'; readonly counter: number; readonly limit: number; readonly text: string }
  | { readonly kind: 'reset'; readonly counters: readonly number[] }
  /** Goes back until it has come by `times` times. */
  | { readonly kind: 'again'; readonly counter: number; readonly times: number; readonly to: number }
  | { readonly kind: 'fail'; readonly text: string; readonly reason: string }
  /** Each on its tty, all at the same time; goes on when all have ended. */
  | { readonly kind: 'parallel'; readonly text: string; readonly branches: readonly Branch[] };

export type LateStep = Control & { readonly kind: 'late' };

/** What one tty does meanwhile. */
export interface Branch {
  /** As `--tty` takes it. */
  readonly tty: string;
  readonly steps: readonly Instruction[];
}

export type Instruction = Step | Control;

/** Steps, then a pass pattern if there is one. */
export interface Script {
  readonly steps: readonly Instruction[];
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

/** Every step that there is, also those of branches. */
export function* stepsIn(instructions: readonly Instruction[]): Generator<Step> {
  for (const each of instructions) {
    if (each.kind === 'parallel') for (const { steps } of each.branches) yield* stepsIn(steps);
    const step = stepOf(each);
    if (step) yield step;
  }
}

/** The step that an instruction comes to; undefined for one that only decides where to go on. */
export function stepOf(instruction: Instruction): Step | undefined {
  switch (instruction.kind) {
    case 'late':
      return instruction.like;
    case 'choose':
      return stepOf(instruction.step);
    case 'goto':
    case 'count':
    case 'reset':
    case 'again':
    case 'fail':
    case 'parallel':
      return undefined;
    default:
      return instruction;
  }
}

/** Whether only what arrives from this step on can match. */
export function isFresh(step: Step | undefined): boolean {
  switch (step?.kind) {
    case 'fresh':
    case 'jig':
    case 'break':
    case 'drive':
      return true;
    default:
      return false;
  }
}
