import type { ResultEvent, ResultFormat } from './test-result.ts';

/** Source: GoogleTest, googletest/src/gtest.cc: PrettyUnitTestResultPrinter. */
const BEGIN = /^\[==========\] Running (\d+) tests? from \d+ (?:test suite|test case)s?\.$/;
const RUN = /^\[ RUN {6}\] (\S+)$/;
const RESULT = /^\[ {2}(?: {5}OK|FAILED |SKIPPED) \] ([^\s,]+)(?:, where .*)? \((\d+) ms\)$/;
/** With `--gtest_print_time=0`; one that failed looks like {@link LISTED}, then. */
const PASSED_TEST = /^\[ {7}OK \] ([^\s,.]+\.[^\s,]+)$/;
const LISTED = /^\[ {2}(?:FAILED |SKIPPED) \] ([^\s,.]*\.[^\s,]+)(?:, where .*)?$/;
const PASSED = /^\[ {2}PASSED {2}\] (\d+) tests?\.$/;
const RAN = /^\[==========\] (\d+) tests? from \d+ (?:test suite|test case)s? ran\.(?: \(\d+ ms total\))?$/;
const FAILED_TESTS = /^ ?(\d+) FAILED TESTS?$/;
/** Source: the same, PrintTestPartResult; the second as compilers of Microsoft print it. */
const FAILURE = /^(.+?)(?::(\d+)|\((\d+)\)): (?:Failure|error|Skipped)(?:: (.*))?$/;

const STATUS = { OK: 'pass', FAILED: 'fail', SKIPPED: 'skip' } as const;

/** `[ RUN      ] Suite.Test`, `[       OK ] Suite.Test (1 ms)`, `[  PASSED  ] 2 tests.` */
export const gtestFormat: ResultFormat = {
  name: 'gtest',
  begun: /^\[(?:=| {1,7})[A-Z=]*/,
  ending: '"[  PASSED  ]" or "N FAILED TESTS"',
  parse(line) {
    const begin = BEGIN.exec(line);
    if (begin) return { kind: 'plan', tests: Number(begin[1]) };
    const run = RUN.exec(line);
    if (run?.[1]) return { kind: 'running', ...testOf(run[1]) };
    const result = RESULT.exec(line);
    if (result) {
      const [, test = '', ms] = result;
      return { kind: 'result', result: { ...testOf(test), status: statusOf(line), durationMs: Number(ms) } };
    }
    const passed = PASSED_TEST.exec(line);
    if (passed?.[1]) return { kind: 'result', result: { ...testOf(passed[1]), status: 'pass' } };
    const listed = LISTED.exec(line);
    if (listed?.[1]) return { kind: 'listed', result: { ...testOf(listed[1]), status: statusOf(line) } };
    return parseEnding(line) ?? parseFailure(line);
  },
};

function parseEnding(line: string): ResultEvent | undefined {
  const ran = RAN.exec(line);
  if (ran) return { kind: 'totals', tests: Number(ran[1]), failed: 0 };
  const passed = PASSED.exec(line);
  if (passed) return { kind: 'over', verdict: 'pass', passed: Number(passed[1]) };
  if (FAILED_TESTS.test(line)) return { kind: 'over', verdict: 'fail' };
  return undefined;
}

function parseFailure(line: string): ResultEvent | undefined {
  const failure = FAILURE.exec(line);
  if (!failure) return undefined;
  const [, file = '', at, inBrackets, text = ''] = failure;
  return { kind: 'message', text, file, line: Number(at ?? inBrackets) };
}

function testOf(full: string): { suite: string; name: string } {
  const dot = full.indexOf('.');
  return { suite: full.slice(0, Math.max(0, dot)), name: full.slice(dot + 1) };
}

function statusOf(line: string): 'pass' | 'fail' | 'skip' {
  const word = /[A-Z]+/.exec(line)?.[0] ?? '';
  return STATUS[word as keyof typeof STATUS] ?? 'fail';
}
