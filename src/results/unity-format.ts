import type { ResultFormat, TestResult } from './test-result.ts';

/** Source: ThrowTheSwitch/Unity, src/unity.c: UnityTestResultsBegin, UnityConcludeTest, UnityEnd. */
const RESULT = /^([^:]+(?::(?!\d+:)[^:]+)*):(\d+):(.*?):(PASS|FAIL|IGNORE)(?::\s?(.*?))?(?: \((\d+) ms\))?$/s;
/** Source: Unity, extras/fixture/src/unity_fixture.c, with `-v`. */
const FIXTURE = /^(?:TEST\((\w+), (\w+)\) PASS(?: \((\d+) ms\))?|IGNORE_TEST\((\w+), (\w+)\))$/;
/** It prints the name first, and where a check fails goes on in the same line. */
const FIXTURE_BEGUN = /^TEST\((\w+), (\w+)\)(?=[^\s:])/;
const FIXTURE_NAME = /^(?:IGNORE_)?TEST\((\w+), (\w+)\)$/;
/** Source: ESP-IDF, components/unity/unity_runner.c: unity_run_single_test. */
const RUNNING = /^Running (.+)\.\.\.$/;
const TOTALS = /^(\d+) Tests (\d+) Failures (\d+) Ignored\s*$/;

const STATUS = { PASS: 'pass', FAIL: 'fail', IGNORE: 'skip' } as const;

/** `FILE:LINE:NAME:PASS`, then `N Tests N Failures N Ignored` and `OK` or `FAIL`. */
export const unityFormat: ResultFormat = {
  name: 'unity',
  begun: /^(?:[A-Za-z]:)?[^:\s]+:\d+:/,
  ending: '"N Tests N Failures N Ignored" and OK or FAIL',
  parse(line) {
    const begun = FIXTURE_BEGUN.exec(line);
    const result = RESULT.exec(begun ? line.slice(begun[0].length) : line);
    if (result && (result[3] || begun)) return { kind: 'result', result: resultOf(result, begun) };
    const fixture = FIXTURE.exec(line);
    if (fixture) {
      const [, suite, name, ms, ignoredSuite = '', ignoredName = ''] = fixture;
      const status = suite === undefined ? 'skip' : 'pass';
      const test = {
        suite: suite ?? ignoredSuite,
        name: name ?? ignoredName,
        status,
        ...timeOf(ms),
      } as const;
      return { kind: 'result', result: test };
    }
    const running = RUNNING.exec(line);
    if (running?.[1]) return { kind: 'running', name: running[1] };
    const totals = TOTALS.exec(line);
    if (totals) {
      const [tests = 0, failed = 0, skipped = 0] = totals.slice(1).map(Number);
      return { kind: 'totals', tests, failed, skipped };
    }
    if (/^OK\s*$/.test(line)) return { kind: 'over', verdict: 'pass' };
    if (/^FAIL\s*$/.test(line)) return { kind: 'over', verdict: 'fail' };
    return undefined;
  },
};

function resultOf(
  [, file = '', line = '0', shown = '', word, message, ms]: RegExpExecArray,
  begun: RegExpExecArray | null,
): TestResult {
  const status = STATUS[word as keyof typeof STATUS];
  const [, suite, name = shown] = FIXTURE_NAME.exec(shown) ?? begun ?? [];
  return {
    ...(suite === undefined ? {} : { suite }),
    name,
    status,
    ...(message ? { message } : {}),
    file,
    line: Number(line),
    ...timeOf(ms),
  };
}

function timeOf(ms: string | undefined): { durationMs?: number } {
  return ms === undefined ? {} : { durationMs: Number(ms) };
}
