import { oneLine } from '../base/one-line.ts';
import { countOf, type ResultsSummary } from './results-collector.ts';
import type { TestResult, TestStatus } from './test-result.ts';

/** Of tests that passed or were skipped; all the others are shown. */
const SHOWN_GOOD = 40;

const WORDS: Readonly<Record<TestStatus, string>> = {
  pass: 'pass',
  fail: 'FAIL',
  skip: 'skip',
  crash: 'CRASH',
  missing: 'MISSING',
};

/** For people: a line of counts, and a line a test. */
export function tableOf(summary: ResultsSummary): string[] {
  const { format, tests, problems } = summary;
  if (format === undefined) return [];
  const counts = (Object.keys(WORDS) as TestStatus[])
    .map((status) => [countOf(summary, status), status] as const)
    .filter(([count, status]) => count > 0 || status === 'pass' || status === 'fail')
    .map(([count, status]) => `${count} ${status}`);
  let hidden = tests.filter(isGood).length - SHOWN_GOOD;
  const shown = tests.filter((test) => !isGood(test) || hidden-- <= 0);
  return [
    `results (${format}): ${counts.join(', ')}`,
    ...shown.map((test) => rowOf(test)),
    ...(tests.length > shown.length
      ? [`  … and ${tests.length - shown.length} that passed or were skipped, before`]
      : []),
    ...problems.map((problem) => `  !       ${oneLine(problem)}`),
  ];
}

function isGood({ status }: TestResult): boolean {
  return status === 'pass' || status === 'skip';
}

function rowOf({ status, suite, name, file, line, message }: TestResult): string {
  const place = file === undefined ? '' : `${file}${line === undefined ? '' : `:${line}`}`;
  const why = status === 'pass' ? '' : [place, message].filter((each) => each).join(': ');
  const test = oneLine(`${suite === undefined ? '' : `${suite}.`}${name}`);
  return `  ${WORDS[status].padEnd(7)} ${test}${why === '' ? '' : `  ${oneLine(why)}`}`;
}
