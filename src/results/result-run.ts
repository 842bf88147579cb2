import type { ResultEvent, ResultFormat, TestResult } from './test-result.ts';

/** Lines of explanation that are kept for one test. */
const MAX_EXPLANATION_LINES = 6;
/** Of one test's message. */
const MAX_MESSAGE_CHARACTERS = 1000;
/** A board may announce tests for ever. */
const MAX_UNRESOLVED = 1000;
const MAX_SUITES = 10_000;
const MAX_PROBLEMS = 20;

type Message = ResultEvent & { readonly kind: 'message' };
type Totals = ResultEvent & { readonly kind: 'totals' };

/** One run of tests, from its first line to its end; boards that are reset, or run several programs, have several. */
export class ResultRun {
  readonly tests: TestResult[] = [];
  readonly #problems = new Set<string>();
  readonly #format: ResultFormat;
  readonly #numbers = new Set<number>();
  #lastNumber = 0;
  /** Where in `tests` the first test of a name is. */
  readonly #places = new Map<string, number>();
  readonly #counts = new Map<TestResult['status'], number>();
  /** By suite; the last word counts. */
  readonly #totals = new Map<string | undefined, Totals>();
  readonly #unresolved: { suite?: string; name: string }[] = [];
  #planned: number | undefined;
  #suite: string | undefined;
  #running: { suite?: string; name: string } | undefined;
  #message: Message | undefined;
  #explanation: string[] = [];
  /** Suites of which a test failed, and of which the board says so. */
  readonly #failedSuites = new Set<string>();
  readonly #suitesSaidToFail = new Set<string>();
  readonly #room: number;
  #isOver = false;
  #isFull = false;

  readonly #nowMs: () => number | undefined;
  /** When the last thing came that tells of a test. */
  #lastMs: number | undefined;

  /** Keeps `room` tests and no more. */
  constructor(format: ResultFormat, room: number, nowMs: () => number | undefined = () => undefined) {
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
    this.#format = format;
    this.#room = room;
  }

  /** Whether more tests came than there was room for. */
  get isFull(): boolean {
    return this.#isFull;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** What is wrong with the run beyond failed tests. */
  get problems(): readonly string[] {
    return [...this.#problems];
  }

  /** Whether this result is one more than the run had, and not the first of another one. */
  isExcess(event: ResultEvent): boolean {
    return this.#format.name === 'tap' && event.kind === 'result' && event.number !== 1;
  }

  get hasBegun(): boolean {
    return this.tests.length > 0 || this.#planned !== undefined || this.#running !== undefined;
  }

  /** A test that this line adds, or tells more of; undefined when it does neither. */
  take(event: ResultEvent): TestResult | undefined {
    switch (event.kind) {
      case 'plan':
        this.#takePlan(event);
        return undefined;
      case 'suite':
        this.#suite = event.suite;
        return undefined;
      case 'boot':
        return this.#takeBoot();
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
        if (this.#totals.size < MAX_SUITES) this.#totals.set(event.suite, event);
        return undefined;
      case 'suite over':
        if (event.verdict === 'fail' && this.#suitesSaidToFail.size < MAX_SUITES)
          this.#suitesSaidToFail.add(event.suite);
        return undefined;
      case 'bail':
        this.#addProblem(`the tests gave up: ${event.reason}`);
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
    for (const each of this.#unresolved.filter((test) => !this.#places.has(keyOf(test))))
      added.push({ ...each, status: 'missing', message: 'its result did not come' });
    this.#running = undefined;
    this.#unresolved.length = 0;
    const kept = added.filter((each) => this.#keep(each));
    this.#judge();
    return kept;
  }

  #begin({ suite, name }: { suite?: string; name: string }): void {
    this.#lastMs = this.#nowMs();
    this.#leaveUnresolved();
    this.#running = { ...this.#inSuite(suite), name };
    this.#message = undefined;
    this.#explanation = [];
  }

  /** In Unity's format only the totals tell what is missing: any program may say `Running something...`. */
  #leaveUnresolved(): void {
    const left = this.#format.name === 'unity' ? undefined : this.#running;
    if (left && this.#unresolved.length < MAX_UNRESOLVED) this.#unresolved.push(left);
    this.#running = undefined;
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

  #takeResult({ result, number }: ResultEvent & { readonly kind: 'result' }): TestResult | undefined {
    if (this.#format.name !== 'tap') return this.#add(result);
    const itsNumber = number ?? this.#lastNumber + 1;
    this.#lastNumber = itsNumber;
    if (this.#numbers.has(itsNumber)) this.#addProblem(`test number ${itsNumber} came twice`);
    if (this.#numbers.size <= this.#room) this.#numbers.add(itsNumber);
    return this.#add(result.name === '' ? { ...result, name: `test ${itsNumber}` } : result);
  }

  /** Twice in a run: the board has started it again, or two programs print into each other. */
  #takePlan({ tests, reason }: ResultEvent & { readonly kind: 'plan' }): void {
    if (this.#planned !== undefined) this.#addProblem('the tests began again before they had ended');
    this.#planned = Math.max(this.#planned ?? 0, tests);
    if (tests === 0 && reason !== undefined) this.#addProblem(`no test is planned: ${reason}`);
    this.#closeIfAllCame();
  }

  /** Whatever ran then has lost its board, and will tell nothing more. */
  #takeBoot(): TestResult | undefined {
    const wasRunning = this.#running;
    this.#running = undefined;
    if (!wasRunning || this.#isOver) return undefined;
    return this.#keep({ ...wasRunning, status: 'crash', message: 'the board started again while it ran' });
  }

  #takeListed(result: TestResult): TestResult | undefined {
    const place = this.#places.get(keyOf(result));
    const known = place === undefined ? undefined : this.tests[place];
    // Its own line was lost, or was another run of the same test.
    return !known || (result.status === 'fail' && known.status !== 'fail') ? this.#add(result) : undefined;
  }

  #add(result: TestResult): TestResult | undefined {
    const text = [this.#message?.text, ...this.#explanation].filter((each) => each).join('; ');
    const nowMs = this.#nowMs();
    const test: TestResult = {
      ...this.#inSuite(result.suite),
      // From the line before, where the board does not say it.
      ...(nowMs === undefined || this.#lastMs === undefined
        ? {}
        : { durationMs: Math.round(nowMs - this.#lastMs) }),
      ...result,
      ...(this.#message && result.status !== 'pass'
        ? explained(result.message, { ...this.#message, text })
        : {}),
    };
    this.#lastMs = nowMs;
    if (this.#running?.name !== result.name) this.#leaveUnresolved();
    this.#running = undefined;
    this.#message = undefined;
    this.#explanation = [];
    const kept = this.#keep(test);
    this.#closeIfAllCame();
    return kept;
  }

  /** Undefined where there is no room for it. */
  #keep(test: TestResult): TestResult | undefined {
    if (this.tests.length >= this.#room) {
      this.#isFull = true;
      return undefined;
    }
    if (test.suite !== undefined && test.status === 'fail') this.#failedSuites.add(test.suite);
    const key = keyOf(test);
    const place = this.#places.get(key);
    // The worst of a name stands for it.
    if (place === undefined || test.status === 'fail') this.#places.set(key, this.tests.length);
    this.#counts.set(test.status, this.#count(test.status) + 1);
    this.tests.push(test);
    return test;
  }

  #inSuite(suite: string | undefined): { suite?: string } {
    const named = suite ?? this.#suite;
    return named === undefined ? {} : { suite: named };
  }

  #takeOver({ verdict, passed }: ResultEvent & { readonly kind: 'over' }): void {
    if (this.#format.name === 'unity' && this.#totals.size === 0) return; // an OK of whatever else the board does
    const all = this.#totals.get(undefined)?.tests ?? this.#planned ?? 0;
    if (passed !== undefined && passed + this.#count('skip') < all) return; // what failed is listed next
    this.#isOver = true;
    if (verdict === 'fail' && this.#count('fail') === 0)
      this.#addProblem('the board says that tests failed, and no failed test came');
  }

  #closeIfAllCame(): void {
    if (this.#format.name === 'tap' && this.#planned !== undefined && this.tests.length >= this.#planned)
      this.#isOver = true;
  }

  #judge(): void {
    if (!this.#isOver) this.#addProblem(`the tests did not end: ${this.#format.ending} did not come`);
    const told = this.tests.length - this.#count('missing') - this.#count('crash');
    const counted = [this.#planned, this.#totals.get(undefined)?.tests].filter(
      (count) => count !== undefined,
    );
    const expected = Math.max(0, ...counted);
    if (told < expected) {
      const numbers = this.#format.name === 'tap' ? this.#absentNumbers(expected) : '';
      this.#addProblem(`${expected} tests were planned, ${told} have a result${numbers}`);
    }
    if (counted.length > 0) this.#judgeExcess(told, expected);
    this.#judgeSuites();
    const failed = [...this.#totals.values()].reduce((sum, each) => sum + each.failed, 0);
    if (failed > this.#count('fail'))
      this.#addProblem(`the board counts ${failed} failures, ${this.#count('fail')} came`);
    const skipped = this.#totals.get(undefined)?.skipped;
    if (skipped !== undefined && skipped !== this.#count('skip'))
      this.#addProblem(`the board counts ${skipped} ignored tests, ${this.#count('skip')} came`);
  }

  /** A result that the board does not count is another run's, or another board's. */
  #judgeExcess(told: number, expected: number): void {
    const beyond = [...this.#numbers].find((number) => number < 1 || number > expected);
    if (beyond !== undefined) this.#addProblem(`${expected} tests were planned, and number ${beyond} came`);
    else if (told > expected) this.#addProblem(`the board counts ${expected} tests, ${told} results came`);
  }

  #judgeSuites(): void {
    const bySuite = new Map<string | undefined, number>();
    for (const { suite, status } of this.tests) {
      if (status !== 'missing' && status !== 'crash') bySuite.set(suite, (bySuite.get(suite) ?? 0) + 1);
    }
    for (const { suite, tests } of this.#totals.values()) {
      const inSuite = bySuite.get(suite) ?? 0;
      if (suite !== undefined && inSuite < tests)
        this.#addProblem(`suite ${suite} had ${tests} tests, ${inSuite} have a result`);
    }
    for (const suite of this.#suitesSaidToFail) {
      if (!this.#failedSuites.has(suite))
        this.#addProblem(`the board says that suite ${suite} failed, and no failed test of it came`);
    }
  }

  #absentNumbers(expected: number): string {
    const absent: number[] = [];
    for (let number = 1; number <= expected && absent.length < 5; number++)
      if (!this.#numbers.has(number)) absent.push(number);
    return absent.length === 0
      ? ''
      : `; without one: ${absent.join(', ')}${absent.length === 5 ? ', …' : ''}`;
  }

  #count(status: TestResult['status']): number {
    return this.#counts.get(status) ?? 0;
  }

  #addProblem(problem: string): void {
    if (this.#problems.size < MAX_PROBLEMS) this.#problems.add(problem);
  }
}

function keyOf({ suite, name }: { suite?: string; name: string }): string {
  return JSON.stringify([suite, name]);
}

function explained(before: string | undefined, { text, file, line }: Message): Partial<TestResult> {
  const message = [before, text].filter((each) => each).join('; ');
  return {
    ...(message === '' ? {} : { message: message.slice(0, MAX_MESSAGE_CHARACTERS) }),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
  };
}
