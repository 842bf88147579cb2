import type { ResultEvent, ResultFormat } from './test-result.ts';

/** Source: testanything.org, TAP 13 and 14; Linux, Documentation/dev-tools/ktap.rst. */
const VERSION = /^K?TAP version \d+$/;
const PLAN = /^1\.\.(\d+)(?:\s+#\s*(.*))?$/;
const POINT = /^(not )?ok(?: (\d+))?(?:\s+(?:-\s*)?(.*))?$/;
/** Without a number, only what says a test's name: `ok` may be anything else that a board finds well. */
const UNNUMBERED = /^(?:not )?ok(?:$| - )/;
const DIRECTIVE = /^(.*?)\s*(?<!\\)#\s*(SKIP(?:PED)?|TODO|XFAIL)\b[\s:]*(.*)$/i;
const BAIL = /^Bail out!\s*(.*)$/i;
/** In the YAML block below a failed point, and what kunit prints there. */
const MESSAGE = /^\s+(?:message|at|file|line|error): (.+)$/;
const KUNIT_FAILURE = /^\s*# \S+: (?:EXPECTATION|ASSERTION) FAILED at (.+?):(\d+)$/;

/** `1..N`, `ok 1 - name`, `not ok 2 - name # TODO`. Points of nested tests are parts of those they are nested in. */
export const tapFormat: ResultFormat = {
  name: 'tap',
  begun: /^(?:not )?ok?\b|^not |^1\.\./,
  ending: 'the plan "1..N" and N points',
  parse(line) {
    if (VERSION.test(line)) return { kind: 'begin' };
    const plan = PLAN.exec(line);
    if (plan) return { kind: 'plan', tests: Number(plan[1]), ...(plan[2] ? { reason: plan[2] } : {}) };
    const point = POINT.exec(line);
    if (point && (point[2] !== undefined || UNNUMBERED.test(line))) return pointOf(point);
    const bail = BAIL.exec(line);
    if (bail) return { kind: 'bail', reason: bail[1] || 'no reason given' };
    const kunit = KUNIT_FAILURE.exec(line);
    if (kunit) return { kind: 'message', text: 'failed', file: kunit[1] ?? '', line: Number(kunit[2]) };
    const message = MESSAGE.exec(line);
    return message?.[1] ? { kind: 'message', text: unquoted(message[1]) } : undefined;
  },
};

function pointOf([, not, number, text = '']: RegExpExecArray): ResultEvent {
  const [, plain = text, directive, reason = ''] = DIRECTIVE.exec(text) ?? [];
  // A TODO that fails is expected to; one that passes has passed.
  const isExcused = directive !== undefined && (/^skip/i.test(directive) || not !== undefined);
  const status = isExcused ? 'skip' : not === undefined ? 'pass' : 'fail';
  return {
    kind: 'result',
    ...(number === undefined ? { isVague: true } : { number: Number(number) }),
    result: { name: plain.replaceAll('\\#', '#'), status, ...(reason ? { message: reason } : {}) },
  };
}

function unquoted(text: string): string {
  return /^(['"])(.*)\1$/.exec(text)?.[2] ?? text;
}
