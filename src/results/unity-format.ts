import type { ResultFormat, TestResult } from './test-result.ts';

/** Source: ThrowTheSwitch/Unity, src/unity.c: UnityTestResultsBegin, UnityConcludeTest, UnityEnd. */
const RESULT = /^((?:[A-Za-z]:)?[^:]+):(\d+):(.+?):(PASS|FAIL|IGNORE)(?::\s?(.*)|)$/;
/** Source: Unity, extras/fixture/src/unity_fixture.c, with `-v`. */
const FIXTURE = /^(IGNORE_)?TEST\((\w+), (\w+)\) PASS$/;
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
    const result = RESULT.exec(line);
    if (result) return { kind: 'result', result: resultOf(result) };
    const fixture = FIXTURE.exec(line);
    if (fixture) {
      const [, ignored, suite = '', name = ''] = fixture;
      return { kind: 'result', result: { suite, name, status: ignored ? 'skip' : 'pass' } };
    }
    const running = RUNNING.exec(line);
    if (running?.[1]) return { kind: 'running', name: running[1] };
    const totals = TOTALS.exec(line);
    if (totals) return { kind: 'totals', tests: Number(totals[1]), failed: Number(totals[2]) };
    if (/^OK\s*$/.test(line)) return { kind: 'over', verdict: 'pass' };
    if (/^FAIL\s*$/.test(line)) return { kind: 'over', verdict: 'fail' };
    return undefined;
  },
};

function resultOf([, file = '', line = '0', shown = '', word, message]: RegExpExecArray): TestResult {
  const status = STATUS[word as keyof typeof STATUS];
  const [, suite, name = shown] = FIXTURE_NAME.exec(shown) ?? [];
  return {
    ...(suite === undefined ? {} : { suite }),
    name,
    status,
    ...(message ? { message } : {}),
    file,
    line: Number(line),
  };
}
