import { oneLine } from '../base/one-line.ts';
import { Stopped } from '../base/run-main.ts';
import { findingOf } from '../findings/findings-file.ts';
import { countOf, failureOf, type Interruption, ResultsCollector } from '../results/results-collector.ts';
import { ResultsReport, type RunVerdict } from '../results/results-report.ts';
import { tableOf } from '../results/results-table.ts';
import type { TestResult } from '../results/test-result.ts';
import type { ResultsRequest } from './request.ts';
import type { SessionResults, TestsProblem } from './session-tests.ts';
import { ExpectationError, withoutTail } from './verdict.ts';

/** The test results of one session: collected, written as they come, and told at the end. */
export class ResultsOfSession implements SessionResults {
  readonly #collector: ResultsCollector;
  readonly #report: ResultsReport;
  readonly #say: (text: string) => void;
  #hasFailed = false;
  #nowMs = (): number => performance.now();

  /** `name` is what tests are called that belong to no suite. @throws {RigError} a file that cannot be written */
  constructor({ format, junit, json }: ResultsRequest, name: string, say: (text: string) => void) {
    this.#report = new ResultsReport({ name, junit, json });
    const onTest = (test: TestResult): void => {
      this.#hasFailed ||= test.status === 'fail';
      this.#report.add(test);
    };
    this.#collector = new ResultsCollector(format, onTest, () => this.#nowMs());
    this.#say = say;
  }

  /** From here on, the time of a recording. */
  timeBy(nowMs: () => number): void {
    this.#nowMs = nowMs;
  }

  get isComplete(): boolean {
    return this.#collector.isComplete;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  push(chunk: Uint8Array): void {
    this.#collector.push(chunk);
  }

  conclude(): TestsProblem | undefined {
    const summary = this.#collector.end();
    const text = failureOf(summary);
    const isBoards = this.#hasFailed || countOf(summary, 'crash') > 0;
    return text === undefined ? undefined : { text, mayBeLost: !isBoards };
  }

  /**
   * The session is over, with that failure or with none.
   *
   * @throws {RigError} blame `unavailable` when a file could not be written
   */
  finish(failure: unknown): void {
    const summary = this.#collector.end(failure === undefined ? undefined : interruptionBy(failure));
    for (const line of tableOf(summary)) this.#say(line);
    if (failure === undefined) this.#report.finish(summary, 'pass', undefined);
    else
      this.#report.finish(summary, verdictOf(failure), {
        message: messageOf(failure),
        step: failure instanceof ExpectationError ? failure.step : undefined,
      });
  }
}

/** Without effect where the tests had come to their end before. */
function interruptionBy(failure: unknown): Interruption {
  const isCrash = failure instanceof ExpectationError && failure.crash !== undefined;
  return { status: isCrash ? 'crash' : 'missing', message: messageOf(failure) };
}

function verdictOf(failure: unknown): RunVerdict {
  return failure instanceof Stopped ? 'cancelled' : findingOf('sai-expect', failure).verdict;
}

function messageOf(failure: unknown): string {
  return oneLine(failure instanceof Error ? withoutTail(failure.message) : String(failure));
}
