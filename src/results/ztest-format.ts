import type { ResultFormat } from './test-result.ts';

/** Source: Zephyr, subsys/testsuite/include/zephyr/tc_util.h and ztest/src/ztest.c, ztest_defs. */
const RESULT = /^ ?(PASS|FAIL|SKIP) - ([^\s@]+?)(?: in (\d+)\.(\d+) seconds?|\.)?$/;
const START = /^(?:START|starting test) - (\S+)$/;
const SUITE = /^Running (?:TESTSUITE|test suite) (\S+)$/;
const SUITE_OVER = /^(?:TESTSUITE|Test suite) (\S+) (succeeded|failed)\.?$/;
/** Source: Zephyr, kernel/banner.c. */
const BOOT = /^\*{3} Booting .+ \*{3}$/;
/** Source: the same, CONFIG_ZTEST_SUMMARY. */
const SUITE_TOTALS =
  /^SUITE (?:PASS|FAIL|SKIP) - +\d+\.\d+% \[(\S+)\]: pass = \d+, fail = (\d+), skip = \d+, total = (\d+)(?: duration = [\d.]+ seconds?)?$/;
const LISTED = /^ ?- (PASS|FAIL|SKIP|FLAKY) - \[([^.\]]+)\.(\S+)\] duration = (\d+\.\d+) seconds?$/;
/** Source: Zephyr, subsys/testsuite/ztest/include/zephyr/ztest_assert.h. */
const ASSERTION = /^\s*(?:Assertion|Assumption) failed at (.+?):(\d+): (.*)$/;
const OVER = /^PROJECT EXECUTION (SUCCESSFUL|FAILED)$/;

const STATUS = { PASS: 'pass', FAIL: 'fail', SKIP: 'skip', FLAKY: 'pass' } as const;

const msOf = (seconds = '0'): number => Math.round(Number(seconds) * 1000);

/** `START - NAME`, ` PASS - NAME in 0.001 seconds`, a summary, `PROJECT EXECUTION SUCCESSFUL`. */
export const ztestFormat: ResultFormat = {
  name: 'ztest',
  begun: /^ ?(?:- )?(?:PASS|FAIL|SKIP|START|SUITE \w+) -|^PROJECT EXEC/,
  ending: 'PROJECT EXECUTION SUCCESSFUL or FAILED',
  parse(line) {
    const result = RESULT.exec(line);
    if (result) {
      const [, word, name = '', seconds, rest] = result;
      const status = STATUS[word as keyof typeof STATUS];
      // Before 3.0 milliseconds stood behind the point without their zeros: 0.5 is 5 ms, as 0.005 is.
      const durationMs = Number(seconds) * 1000 + Number(rest);
      return { kind: 'result', result: { name, status, ...(rest === undefined ? {} : { durationMs }) } };
    }
    const start = START.exec(line);
    if (start?.[1]) return { kind: 'running', name: start[1] };
    const suite = SUITE.exec(line);
    if (suite?.[1]) return { kind: 'suite', suite: suite[1] };
    const suiteOver = SUITE_OVER.exec(line);
    if (suiteOver?.[1])
      return {
        kind: 'suite over',
        suite: suiteOver[1],
        verdict: suiteOver[2] === 'failed' ? 'fail' : 'pass',
      };
    if (BOOT.test(line)) return { kind: 'boot' };
    const totals = SUITE_TOTALS.exec(line);
    if (totals) {
      const [, name = '', failed, tests] = totals;
      return { kind: 'totals', suite: name, tests: Number(tests), failed: Number(failed) };
    }
    const listed = LISTED.exec(line);
    if (listed) {
      const [, word, inSuite = '', name = '', seconds] = listed;
      const status = STATUS[word as keyof typeof STATUS];
      return { kind: 'listed', result: { suite: inSuite, name, status, durationMs: msOf(seconds) } };
    }
    const assertion = ASSERTION.exec(line);
    if (assertion) {
      const [, file = '', at, text = ''] = assertion;
      return { kind: 'message', text, file, line: Number(at) };
    }
    const over = OVER.exec(line);
    return over ? { kind: 'over', verdict: over[1] === 'SUCCESSFUL' ? 'pass' : 'fail' } : undefined;
  },
};
