import type { Clock, ClockTimer } from './clock.ts';
import { isFresh, type Script, stepsIn } from './script.ts';

/** After the last line of the tests, what still belongs to them arrives. */
const GRACE_MS = 200;

export interface TestsProblem {
  /** One line. */
  readonly text: string;
  /** No test failed: what is missing may have been lost on the way. */
  readonly mayBeLost: boolean;
}

/** Test results in the board's output, which have a say in the verdict. */
export interface SessionResults {
  push(chunk: Uint8Array): void;
  readonly isComplete: boolean;
  /** Whether any test failed so far. */
  readonly hasFailed: boolean;
  /** Nothing more will come: why the tests are no pass; undefined when they are. */
  conclude(): TestsProblem | undefined;
}

/** Lets the tests see what is theirs, and end the session where no pattern does. */
export class SessionTests {
  readonly #results: SessionResults | undefined;
  readonly #endsSession: boolean;
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  /** What had arrived before a script's first act is not what its tests say. */
  #isStale: boolean;
  #hasDoneSteps = false;
  #grace: ClockTimer | undefined;

  constructor(results: SessionResults | undefined, script: Script, clock: Clock, onEnd: () => void) {
    const firstAct = [...stepsIn(script.steps)].find(({ kind }) => kind !== 'expect' && kind !== 'pause');
    this.#results = results;
    this.#isStale = isFresh(firstAct);
    this.#endsSession = script.pass.length === 0;
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  push(chunk: Uint8Array): void {
    if (!this.#results || this.#isStale) return;
    this.#results.push(chunk);
    this.#look();
  }

  /** What comes from now on is fresh. */
  freshen(): void {
    this.#isStale = false;
  }

  /** What is left to wait for are the tests. */
  stepsDone(): void {
    this.#hasDoneSteps = true;
    this.#look();
  }

  stop(): void {
    this.#grace?.cancel();
  }

  /** Unless another run has begun meanwhile: of a suite that is repeated, or of the next program. */
  #graceOver(): void {
    this.#grace = undefined;
    if (this.#results?.isComplete) this.#onEnd();
  }

  #look(): void {
    if (this.#hasDoneSteps && this.#endsSession && this.#results?.isComplete)
      this.#grace ??= this.#clock.after(GRACE_MS, () => this.#clock.onceRead(() => this.#graceOver()));
  }
}
