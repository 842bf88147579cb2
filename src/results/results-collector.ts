import { oneLine } from '../base/one-line.ts';
import { LineRepair, type Repaired } from './line-repair.ts';
import { OutputLines } from './output-lines.ts';
import { formatsOf, isTelling } from './result-formats.ts';
import { ResultRun } from './result-run.ts';
import type { ResultEvent, ResultFormat, ResultFormatName, TestResult, TestStatus } from './test-result.ts';

/** A board may print results for ever; the first so many are kept, and the rest counted as one problem. */
const MAX_TESTS = 100_000;
const MAX_PROBLEMS = 100;
const MAX_TOLD_CUTS = 3;

/** What came of the tests. */
export interface ResultsSummary {
  /** Undefined when nothing in any format came. */
  readonly format: ResultFormatName | undefined;
  readonly tests: readonly TestResult[];
  /** Whatever keeps it from being a pass, besides tests that failed. */
  readonly problems: readonly string[];
}

/** What ended the tests before their own end. */
export interface Interruption {
  readonly status: 'crash' | 'missing';
  readonly message: string;
}

/** Test results in one board's output, each told as it arrives. Pure: bytes in, in any chunking. */
export class ResultsCollector {
  readonly #wanted: readonly ResultFormat[];
  readonly #onTest: (test: TestResult) => void;
  readonly #nowMs: (() => number) | undefined;
  readonly #lines = new OutputLines();
  /** Until the format is known, all that may be meant. */
  #repairs: { readonly format: ResultFormat; readonly repair: LineRepair }[];
  #run: ResultRun | undefined;
  readonly #tests: TestResult[] = [];
  readonly #problems: string[] = [];
  /** Halves that nothing could be made of. Most are no loss: what they were is told again, or says nothing. */
  #cuts: string[] = [];
  #hasEnded = false;
  #isFull = false;

  /** `onTest` is called with each test as its result arrives, and again when more of it comes; with `nowMs`, each also says how long after the one before that was. */
  constructor(format: ResultFormatName | 'auto', onTest: (test: TestResult) => void, nowMs?: () => number) {
    this.#nowMs = nowMs;
    this.#wanted = formatsOf(format);
    this.#repairs = this.#wanted.map((each) => ({ format: each, repair: new LineRepair(each) }));
    this.#onTest = onTest;
  }

  /** Whether a run has come to its own end, and no other has begun. */
  get isComplete(): boolean {
    return this.#run?.isOver === true;
  }

  push(chunk: Uint8Array): void {
    if (this.#hasEnded) return;
    for (const line of this.#lines.push(chunk)) {
      for (const { format, repair } of this.#repairs) this.#takeAll(format, repair.push(line));
    }
  }

  /** Nothing more will come: with why, when that was not the tests' own end. Once. */
  end(interruption?: Interruption): ResultsSummary {
    if (!this.#hasEnded) {
      for (const { format, repair } of this.#repairs) this.#takeAll(format, repair.end());
      this.#hasEnded = true;
      this.#closeRun(interruption);
    }
    const format = this.#run && this.#repairs[0]?.format.name;
    const nothing =
      format === undefined
        ? [`no test results came (looked for ${this.#wanted.map(({ name }) => name).join(', ')})`]
        : this.#tests.length === 0
          ? ['no test was run']
          : [];
    return { format, tests: this.#tests, problems: [...this.#problems, ...nothing] };
  }

  #takeAll(format: ResultFormat, found: readonly Repaired[]): void {
    for (const each of found) this.#take(format, each);
  }

  #take(format: ResultFormat, found: Repaired): void {
    if (this.#run === undefined) {
      if (found.kind !== 'event' || !isTelling(found.event)) return;
      this.#repairs = this.#repairs.filter((each) => each.format === format);
      this.#run = new ResultRun(format, MAX_TESTS, this.#nowMs);
    }
    if (this.#repairs[0]?.format !== format) return;
    if (found.kind === 'text') this.#run.explain(found.text);
    else if (found.kind === 'event') this.#takeEvent(found.event, this.#run, format);
    else if (this.#cuts.length < MAX_TOLD_CUTS) this.#cuts.push(found.text.slice(0, 120));
  }

  #takeEvent(event: ResultEvent, run: ResultRun, format: ResultFormat): void {
    const isOfNext = run.isOver && (isTelling(event) || event.kind === 'running') && !run.isExcess(event);
    if (isOfNext || (event.kind === 'begin' && run.hasBegun)) {
      this.#closeRun(undefined);
      this.#run = new ResultRun(format, MAX_TESTS - this.#tests.length, this.#nowMs);
    }
    const current = this.#run ?? run;
    const test = current.take(event);
    if (test) this.#onTest(test);
    if (current.isFull && !this.#isFull) {
      this.#isFull = true;
      this.#addProblem(`more than ${MAX_TESTS} results came`);
    }
  }

  #closeRun(interruption: Interruption | undefined): void {
    const run = this.#run;
    if (!run) return;
    for (const test of run.close(interruption)) this.#onTest(test);
    for (const test of run.tests) this.#tests.push(test);
    for (const problem of run.problems) this.#addProblem(problem);
    if (run.problems.length > 0) {
      for (const cut of this.#cuts)
        this.#addProblem(`a line was cut by another one, and is lost: ${JSON.stringify(cut)}`);
    }
    this.#cuts = [];
  }

  #addProblem(problem: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
  }
}

/** How many tests ended that way. */
export function countOf({ tests }: ResultsSummary, status: TestStatus): number {
  return tests.filter((test) => test.status === status).length;
}

/** Why the tests are no pass, one line; undefined when they are. */
export function failureOf(summary: ResultsSummary): string | undefined {
  const bad = summary.tests.filter(({ status }) => status !== 'pass' && status !== 'skip');
  const parts: string[] = [];
  if (bad.length > 0) {
    const shown = bad.slice(0, 3).map((test) => describe(test));
    const more = bad.length > shown.length ? `, and ${bad.length - shown.length} more` : '';
    parts.push(`${bad.length} of ${summary.tests.length} tests did not pass: ${shown.join(', ')}${more}`);
  }
  parts.push(...summary.problems.slice(0, 3));
  return parts.length === 0 ? undefined : parts.join('; ');
}

/** `suite.name (file:12: message)` */
function describe({ suite, name, file, line, message }: TestResult): string {
  const place = file === undefined ? undefined : line === undefined ? file : `${file}:${line}`;
  const details = [place, message].filter((each) => each).join(': ');
  return oneLine(`${suite === undefined ? '' : `${suite}.`}${name}${details === '' ? '' : ` (${details})`}`);
}
