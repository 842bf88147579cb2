/** Where test results go: files that hold, at any moment, what has come by then. */

import { resolve } from 'node:path';
import { RigError } from '../base/errors.ts';
import { junitOf, liveBegin, liveEnd, type RunFailure, testCase } from './junit.ts';
import { LiveFile } from './live-file.ts';
import { countOf, type ResultsSummary } from './results-collector.ts';
import type { TestResult } from './test-result.ts';

/** Whose doing it is when the run did not pass. */
export type RunVerdict = 'pass' | 'fail' | 'infra' | 'cancelled';

export interface ReportOptions {
  /** What the tests are called that belong to no suite. */
  readonly name: string;
  readonly junit: string | undefined;
  readonly json: string | undefined;
}

/** Writes each test as it comes, and all of them once more at the end. */
export class ResultsReport {
  readonly #name: string;
  readonly #junit: LiveFile | undefined;
  readonly #json: LiveFile | undefined;
  /** What makes the JUnit file whole, behind what it has so far. */
  readonly #end: Uint8Array;
  #junitEnd: number;
  #jsonEnd = 0;
  /** Told at the end: a full disk stops no test. */
  #trouble: RigError | undefined;

  /** @throws {RigError} blame `usage` for what is no file, `config` for one that cannot be written */
  constructor({ name, junit, json }: ReportOptions) {
    if (junit !== undefined && json !== undefined && resolve(junit) === resolve(json)) {
      throw new RigError(
        'usage',
        `--results-json ${json}: expected another file than --junit's, found the same`,
      );
    }
    this.#name = name;
    this.#end = Buffer.from(liveEnd());
    const begin = Buffer.from(liveBegin(name));
    this.#junit =
      junit === undefined ? undefined : new LiveFile(junit, '--junit', Buffer.concat([begin, this.#end]));
    this.#junitEnd = begin.length;
    this.#json = json === undefined ? undefined : new LiveFile(json, '--results-json', Buffer.of());
  }

  add(test: TestResult): void {
    this.#writeJunit(testCase(this.#name, test));
    this.#writeJson({ event: 'test', atMs: Date.now(), ...test });
  }

  /**
   * Once. `failure` is why the run did not pass, `verdict` whose doing that is.
   *
   * @throws {RigError} blame `unavailable` when any of it could not be written
   */
  finish(summary: ResultsSummary, verdict: RunVerdict, failure: RunFailure | undefined): void {
    for (const problem of summary.problems) this.#writeJson({ event: 'problem', text: problem });
    const counts = {
      tests: summary.tests.length,
      passed: countOf(summary, 'pass'),
      failed: countOf(summary, 'fail'),
      skipped: countOf(summary, 'skip'),
      crashed: countOf(summary, 'crash'),
      missing: countOf(summary, 'missing'),
    };
    this.#writeJson({
      event: 'end',
      format: summary.format ?? null,
      verdict,
      ...counts,
      ...(failure ? { failure: failure.message } : {}),
    });
    this.#attempt(() => this.#junit?.replace(junitOf(this.#name, summary, failure)));
    this.#attempt(() => this.#json?.close());
    if (this.#trouble) throw this.#trouble;
  }

  /** The end is written again over the last one, in one write, so that the file is whole at any moment. */
  #writeJunit(text: string): void {
    const bytes = Buffer.from(text);
    this.#attempt(() => {
      this.#junit?.write(Buffer.concat([bytes, this.#end]), this.#junitEnd, this.#end);
      this.#junitEnd += bytes.length;
    });
  }

  #writeJson(record: object): void {
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
    this.#attempt(() => {
      this.#json?.write(bytes, this.#jsonEnd, Buffer.of());
      this.#jsonEnd += bytes.length;
    });
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof RigError)) throw error;
      this.#trouble ??= error;
    }
  }
}
