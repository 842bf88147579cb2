/** JUnit XML as CI servers read it. Source: the schema of the Jenkins xUnit plugin, junit-10.xsd. */

import type { ResultsSummary } from './results-collector.ts';
import type { TestResult } from './test-result.ts';

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';

/** Why a run failed, and in which step it was then. */
export interface RunFailure {
  readonly message: string;
  readonly step?: string | undefined;
}

/**
 * The whole file. Tests without a suite are in one that is called `name`. A failure of the run is a case of its own only
 * where no test has it, so that one failed test counts as one.
 */
export function junitOf(
  name: string,
  { tests, problems }: ResultsSummary,
  failure: RunFailure | undefined,
): string {
  const bySuite = new Map<string, TestResult[]>();
  for (const test of tests) {
    const suite = test.suite ?? name;
    const its = bySuite.get(suite);
    if (its) its.push(test);
    else bySuite.set(suite, [test]);
  }
  const suites = [...bySuite].map(([suite, its]) =>
    suiteOf(suite, its.length, its, its.map((test) => testCase(name, test)).join('')),
  );
  const told =
    failure && !isTold(failure, tests) && !isProblems(failure, tests, problems) ? [failure.message] : [];
  const texts = [...told, ...problems.filter((each) => !told.some((text) => text.includes(each)))];
  if (texts.length > 0) {
    const errors = texts.map((text, index) => {
      const where = index === 0 && told.length > 0 ? failure?.step : undefined;
      return problemCase('sai-expect', where ?? (index === 0 ? 'the run' : `the run, ${index + 1}`), text);
    });
    suites.push(suiteOf(`${name}: sai-expect`, errors.length, [], errors.join(''), errors.length));
  }
  return `${HEAD}<testsuites>\n${suites.join('')}</testsuites>\n`;
}

/** That tests failed, a case of each says; that one ended with the run, its own. */
function isTold({ message }: RunFailure, tests: readonly TestResult[]): boolean {
  const bad = tests.filter(({ status }) => status !== 'pass' && status !== 'skip');
  return bad.some((test) => test.message === message) || (bad.length > 0 && DID_NOT_PASS.test(message));
}

/** What is wrong with the tests as a whole has cases already, one for each. */
function isProblems(
  { message }: RunFailure,
  tests: readonly TestResult[],
  problems: readonly string[],
): boolean {
  return tests.length > 0 && problems.length > 0 && problems.some((each) => message.includes(`: ${each}`));
}

/** As `failureOf` says it. */
const DID_NOT_PASS = /: \d+ of \d+ tests did not pass: /;

/** A file that grows: each part is valid with {@link liveEnd} after it. */
export const liveBegin = (name: string): string => `${HEAD}<testsuites>\n<testsuite name="${xml(name)}">\n`;

/** Says, until the whole file takes its place, that the run has not ended. */
export const liveEnd = (): string =>
  `${problemCase('sai-expect', 'the run', 'the run has not ended, or was killed before it could')}</testsuite>\n</testsuites>\n`;

export function testCase(name: string, test: TestResult): string {
  const { suite = name, durationMs, file, line } = test;
  const { message = test.status === 'fail' ? 'the board says no more than that it failed' : '' } = test;
  const attributes = [
    `classname="${xml(suite)}"`,
    `name="${xml(test.name)}"`,
    ...(durationMs === undefined ? [] : [`time="${(durationMs / 1000).toFixed(3)}"`]),
    ...(file === undefined ? [] : [`file="${xml(file)}"`]),
    ...(line === undefined ? [] : [`line="${line}"`]),
  ].join(' ');
  const place = file === undefined ? '' : `${file}${line === undefined ? '' : `:${line}`}: `;
  switch (test.status) {
    case 'pass':
      return `<testcase ${attributes}/>\n`;
    case 'skip':
      return `<testcase ${attributes}><skipped message="${xml(message)}"/></testcase>\n`;
    case 'fail':
      return `<testcase ${attributes}><failure message="${xml(message)}" type="fail">${xml(place + message)}</failure></testcase>\n`;
    default:
      return `<testcase ${attributes}><error message="${xml(message)}" type="${test.status}"/></testcase>\n`;
  }
}

function problemCase(classname: string, name: string, text: string): string {
  return `<testcase classname="${xml(classname)}" name="${xml(name)}"><error message="${xml(text)}" type="run"/></testcase>\n`;
}

function suiteOf(
  name: string,
  count: number,
  tests: readonly TestResult[],
  cases: string,
  errors = 0,
): string {
  const of = (...wanted: readonly TestResult['status'][]): number =>
    tests.filter(({ status }) => wanted.includes(status)).length;
  const seconds = tests.reduce((sum, { durationMs = 0 }) => sum + durationMs, 0) / 1000;
  const counts = `tests="${count}" failures="${of('fail')}" errors="${errors + of('crash', 'missing')}" skipped="${of('skip')}"`;
  return `<testsuite name="${xml(name)}" ${counts} time="${seconds.toFixed(3)}">\n${cases}</testsuite>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** What XML 1.0 cannot hold at all becomes U+FFFD. Source: XML 1.0, section 2.2. */
function xml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\ufffd')
    .replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? '')
    .replaceAll(/[\t\n\r]/g, ' ');
}
