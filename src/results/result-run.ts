import type { ResultEvent, ResultFormat, TestResult } from './test-result.ts';

/** Lines of explanation that are kept for one test. */
const MAX_EXPLANATION_LINES = 6;
/** Of one test's message. */
const MAX_MESSAGE_CHARACTERS = 1000;

type Message = ResultEvent & { readonly kind: 'message' };
type Totals = ResultEvent & { readonly kind: 'totals' };

/** One run of tests, from its first line to its end; boards that are reset, or run several programs, have several. */
export class ResultRun {
  readonly tests: TestResult[] = [];
  /** What is wrong with the run beyond failed tests. */
  readonly problems: string[] = [];
  readonly #format: ResultFormat;
  readonly #numbers = new Set<number>();
  readonly #totals: Totals[] = [];
  readonly #unresolved: { suite?: string; name: string }[] = [];
  #planned: number | undefined;
  #suite: string | undefined;
  #running: { suite?: string; name: string } | undefined;
  #message: Message | undefined;
  #explanation: string[] = [];
  #isOver = false;

  constructor(format: ResultFormat) {
    this.#format = format;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get hasBegun(): boolean {
    return this.tests.length > 0 || this.#planned !== undefined || this.#running !== undefined;
  }

  /** A test that this line adds, or tells more of; undefined when it does neither. */
  take(event: ResultEvent): TestResult | undefined {
    switch (event.kind) {
      case 'plan':
        this.#planned = event.tests;
        this.#closeIfAllCame();
        return undefined;
      case 'suite':
        this.#suite = event.suite;
        return undefined;
      case 'running':
        this.#begin(event);
        return undefined;
      case 'message':
        return this.#takeMessage(event);
      case 'result':
        return this.#takeResult(event);
      case 'listed':
        return this.#takeListed(event.result);
      case 'totals':
        this.#totals.push(event);
        return undefined;
      case 'bail':
        this.problems.push(`the tests gave up: ${event.reason}`);
        this.#isOver = true;
        return undefined;
      case 'over':
        this.#takeOver(event);
        return undefined;
      case 'begin':
        return undefined;
    }
  }

  /** A line that says nothing by itself: part of why the running test fails, where that has begun. */
  explain(text: string): void {
    const isExplaining = this.#running !== undefined && this.#message !== undefined;
    if (isExplaining && text.trim() !== '' && this.#explanation.length < MAX_EXPLANATION_LINES)
      this.#explanation.push(text.trim());
  }

  /** Nothing more will come. `why` says what ended it before its own end; tests that this adds are returned. */
  close(why: { readonly status: 'crash' | 'missing'; readonly message: string } | undefined): TestResult[] {
    const added: TestResult[] = [];
    const wasRunning = this.#running;
    if (wasRunning && !this.#isOver) {
      const status = why?.status ?? 'missing';
      added.push({ ...wasRunning, status, message: why?.message ?? 'its result did not come' });
    }
    for (const each of this.#unresolved.filter((test) => !this.#find(test)))
      added.push({ ...each, status: 'missing', message: 'its result did not come' });
    this.#running = undefined;
    this.#unresolved.length = 0;
    this.tests.push(...added);
    this.#judge();
    return added;
  }

  #begin({ suite, name }: { suite?: string; name: string }): void {
    if (this.#running) this.#unresolved.push(this.#running);
    this.#running = { ...this.#inSuite(suite), name };
    this.#message = undefined;
    this.#explanation = [];
  }

  #takeMessage(message: Message): TestResult | undefined {
    // Some tell why before the result, some after it.
    if (this.#running || this.#format.name !== 'tap') {
      this.#message ??= message;
      return undefined;
    }
    const last = this.tests.at(-1);
    if (last?.status !== 'fail') {
      this.#message = message;
      return undefined;
    }
    const better = { ...last, ...explained(last.message, message) };
    this.tests[this.tests.length - 1] = better;
    return better;
  }

  #takeResult({ result, number }: ResultEvent & { readonly kind: 'result' }): TestResult {
    if (number !== undefined && this.#numbers.has(number))
      this.problems.push(`test number ${number} came twice`);
    if (number !== undefined) this.#numbers.add(number);
    return this.#add(result);
  }

  #takeListed(result: TestResult): TestResult | undefined {
    const known = this.#find(result);
    // Its own line was lost, or was another run of the same test.
    return !known || (result.status === 'fail' && known.status !== 'fail') ? this.#add(result) : undefined;
  }

  #add(result: TestResult): TestResult {
    const text = [this.#message?.text, ...this.#explanation].filter((each) => each).join('; ');
    const test: TestResult = {
      ...this.#inSuite(result.suite),
      ...result,
      ...(this.#message && result.status !== 'pass'
        ? explained(result.message, { ...this.#message, text })
        : {}),
    };
    this.#running = undefined;
    this.#message = undefined;
    this.#explanation = [];
    this.tests.push(test);
    this.#closeIfAllCame();
    return test;
  }

  #inSuite(suite: string | undefined): { suite?: string } {
    const named = suite ?? this.#suite;
    return named === undefined ? {} : { suite: named };
  }

  #takeOver({ verdict, passed }: ResultEvent & { readonly kind: 'over' }): void {
    if (this.#format.name === 'unity' && this.#totals.length === 0) return; // an OK of whatever else the board does
    const all = this.#totals.at(-1)?.tests ?? this.#planned ?? 0;
    if (passed !== undefined && passed + this.#count('skip') < all) return; // what failed is listed next
    this.#isOver = true;
    if (verdict === 'fail' && this.#count('fail') === 0)
      this.problems.push('the board says that tests failed, and no failed test came');
  }

  #closeIfAllCame(): void {
    if (this.#format.name === 'tap' && this.#planned !== undefined && this.tests.length >= this.#planned)
      this.#isOver = true;
  }

  #judge(): void {
    if (!this.#isOver) this.problems.push(`the tests did not end: ${this.#format.ending} did not come`);
    const told = this.tests.filter(({ status }) => status !== 'missing' && status !== 'crash');
    const ofAll = [this.#planned, ...this.#totals.filter(({ suite }) => !suite).map(({ tests }) => tests)];
    const expected = Math.max(...ofAll.map((count) => count ?? 0));
    if (told.length < expected) {
      const numbers = this.#format.name === 'tap' ? this.#absentNumbers(expected) : '';
      this.problems.push(`${expected} tests were planned, ${told.length} have a result${numbers}`);
    }
    for (const { suite, tests } of this.#totals.filter((each) => each.suite !== undefined)) {
      const inSuite = told.filter((test) => test.suite === suite).length;
      if (inSuite < tests) this.problems.push(`suite ${suite} had ${tests} tests, ${inSuite} have a result`);
    }
    const failed = this.#totals.reduce((sum, each) => sum + each.failed, 0);
    if (failed > this.#count('fail'))
      this.problems.push(`the board counts ${failed} failures, ${this.#count('fail')} came`);
  }

  #absentNumbers(expected: number): string {
    const absent: number[] = [];
    for (let number = 1; number <= expected && absent.length < 5; number++)
      if (!this.#numbers.has(number)) absent.push(number);
    return absent.length === 0
      ? ''
      : `; without one: ${absent.join(', ')}${absent.length === 5 ? ', …' : ''}`;
  }

  #find({ suite, name }: { suite?: string; name: string }): TestResult | undefined {
    return this.tests.find((test) => test.name === name && test.suite === suite);
  }

  #count(status: TestResult['status']): number {
    return this.tests.filter((test) => test.status === status).length;
  }
}

function explained(before: string | undefined, { text, file, line }: Message): Partial<TestResult> {
  const message = [before, text].filter((each) => each).join('; ');
  return {
    ...(message === '' ? {} : { message: message.slice(0, MAX_MESSAGE_CHARACTERS) }),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
  };
}
