import { describe, expect, test } from 'vitest';
import { junitOf } from '../../src/results/junit.ts';
import { failureOf, ResultsCollector, type ResultsSummary } from '../../src/results/results-collector.ts';
import type { ResultFormatName, TestResult } from '../../src/results/test-result.ts';
import { CHUNKINGS } from '../peers/dut-on-pty.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { MORE_SAMPLES, SAMPLES, type Sample } from './samples.ts';

const EVERY_SAMPLE = [...SAMPLES, ...MORE_SAMPLES];

function collected(text: string, format: ResultFormatName | 'auto' = 'auto'): ResultsSummary {
  const collector = new ResultsCollector(format, () => {});
  collector.push(Buffer.from(`${text}\r\n`));
  return collector.end();
}

describe.each(CHUNKINGS)('%s', (chunking) => {
  test.each(EVERY_SAMPLE)(
    '$format is recognised, and every result told as it arrives',
    ({ format, text, tests }) => {
      const told: TestResult[] = [];
      const collector = new ResultsCollector('auto', (each) => told.push(each));
      const bytes = Buffer.from(`boot\r\n\x1b[0;32m> \x1b[0m\r\n${text}\r\n`);
      const chunks = chunking === 'whole chunks' ? [bytes] : [...bytes].map((byte) => Buffer.of(byte));
      for (const chunk of chunks) collector.push(chunk);
      expect(collector.isComplete).toBe(true);
      const names = (all: readonly TestResult[]): string[] => [...new Set(all.map(({ name }) => name))];
      expect(names(told)).toEqual(names(tests));
      expect(collector.end()).toEqual({ format, tests, problems: [] });
    },
  );
});

/** What a kernel or a logger prints into a line. */
const FOREIGN = [
  '[   12.345678] usb 1-1: new high-speed USB device\r\n',
  '[   12.345678][   T42] brcmfmac: firmware\r\n[   12.345679] second line\r\n',
  '[00:00:01.250,000] <wrn> net: link is down\r\n',
  'W (1234) wifi: lost the beacon\r\n',
  'W (1234) wifi: ends its lines the wrong way round\n\r',
];

/** Where the line of that offset stands does not matter; its order in the results does not either, once it is put together. */
const sorted = (tests: readonly TestResult[]): string[] => tests.map((each) => JSON.stringify(each)).sort();

describe.each(FOREIGN)('a line cut by %j', (foreign) => {
  test.each(EVERY_SAMPLE)('is put together at every byte of $format', ({ format, text, tests }: Sample) => {
    const whole = `${text}\r\n`;
    const wrong: unknown[] = [];
    for (let at = 0; at <= whole.length; at++) {
      const summary = collected(whole.slice(0, at) + foreign + whole.slice(at), format);
      const isSame = JSON.stringify(sorted(summary.tests)) === JSON.stringify(sorted(tests));
      if (!isSame || summary.problems.length > 0)
        wrong.push([whole.slice(Math.max(0, at - 40), at), whole.slice(at, at + 20), summary]);
    }
    expect(wrong).toEqual([]);
  });

  test.each(EVERY_SAMPLE)(
    'is never another result, at any two bytes of a line of $format',
    ({ format, text, tests }) => {
      const whole = `${text}\r\n`;
      const wrong: unknown[] = [];
      for (let at = 0; at < whole.length; at += 3) {
        for (const distance of [1, 2, 5, 17]) {
          const second = at + distance;
          const cut = whole.slice(0, at) + foreign + whole.slice(at, second) + foreign + whole.slice(second);
          const summary = collected(cut, format);
          const passed = new Set(tests.filter(({ status }) => status === 'pass').map(({ name }) => name));
          const invented = summary.tests.filter(({ name, status }) => status === 'pass' && !passed.has(name));
          if (invented.length > 0)
            wrong.push([JSON.stringify(cut.slice(Math.max(0, at - 40), second + 60)), invented]);
        }
      }
      expect(wrong).toEqual([]);
    },
  );
});

test('a "not " that was cut off does not make a pass', () => {
  const { tests } = collected('1..1\r\nnot [   12.345678] usb\r\nok 1 - flash\r\n');
  expect(tests).toEqual([{ name: 'flash', status: 'fail' }]);
});

test('a "not " is not forgotten over a long dump of the kernel', () => {
  const { tests } = collected(`1..1\r\nnot ${'[   12.345678] warning\r\n'.repeat(200)}ok 1 - flash\r\n`);
  expect(tests).toEqual([{ name: 'flash', status: 'fail' }]);
});

test('two whole lines with another between them stay two', () => {
  const { tests } = collected('1..2\r\nok 1 - a[   12.345678] usb\r\nok 2 - b');
  expect(tests.map(({ name }) => name)).toEqual(['a', 'b']);
});

describe('what is planned and does not come', () => {
  test.each<[string, string]>([
    ['1..3\r\nok 1 - a\r\nok 3 - c', '3 tests were planned, 2 have a result; without one: 2'],
    ['a.c:1:t:PASS\r\n3 Tests 0 Failures 0 Ignored\r\nOK', '3 tests were planned, 1 have a result'],
    ['a.c:1:t:PASS', 'the tests did not end: "N Tests N Failures N Ignored" and OK or FAIL did not come'],
    [
      '[==========] Running 2 tests from 1 test suite.\r\n[ RUN      ] A.b\r\n[       OK ] A.b (0 ms)',
      '2 tests were planned, 1 have a result',
    ],
    [
      'Running TESTSUITE s\r\nSTART - test_a\r\n PASS - test_a in 0.001 seconds\r\nSUITE PASS - 100.00% [s]: pass = 2, fail = 0, skip = 0, total = 2 duration = 0.001 seconds\r\nPROJECT EXECUTION SUCCESSFUL',
      'suite s had 2 tests, 1 have a result',
    ],
    ['1..2\r\nok 1 - a\r\nBail out! no flash', 'the tests gave up: no flash'],
    ['1..2\r\nok 1 - a\r\nok 1 - a', 'test number 1 came twice'],
    ['1..2\r\nok 1 - a\r\nok 2 - b\r\nok 3 - c', '2 tests were planned, and number 3 came'],
    ['ok 1 - a\r\nok 2 - b\r\nok 3 - c\r\n1..2', '2 tests were planned, and number 3 came'],
    ['1..2\r\nok 1 - a\r\nok 7 - b', '2 tests were planned, and number 7 came'],
    ['1..3\r\nok 1 - a\r\n1..1', 'the tests began again before they had ended'],
    [
      'a.c:1:t:PASS\r\na.c:1:t:PASS\r\n1 Tests 0 Failures 0 Ignored\r\nOK',
      'the board counts 1 tests, 2 results came',
    ],
    ['a.c:1:t:PASS\r\n1 Tests 0 Failures 1 Ignored\r\nOK', 'the board counts 1 ignored tests, 0 came'],
    ['a.c:1:t:PASS\r\n1 Tests 1 Failures 0 Ignored\r\nOK', 'the board counts 1 failures, 0 came'],
    ['0 Tests 0 Failures 0 Ignored\r\nOK', 'no test was run'],
    [
      '[==========] Running 1 test from 1 test suite.\r\n[ RUN      ] A.b\r\n'.repeat(2) +
        '[       OK ] A.b (0 ms)\r\n[  PASSED  ] 1 test.',
      'the tests began again before they had ended',
    ],
    [
      '[==========] Running 1 test from 1 test suite.\r\n[ RUN      ] A.b\r\n[       OK ] A.b (0 ms)\r\n' +
        '[  PASSED  ] 1 test.\r\n[  FAILED  ] 0 tests, listed below:\r\n' +
        '[  FAILED  ] A: SetUpTestSuite or TearDownTestSuite\r\n\r\n 0 FAILED TESTS\r\n 1 FAILED TEST SUITE',
      'the board says that tests failed, and no failed test came',
    ],
    [
      'Running TESTSUITE s\r\nSTART - a\r\n PASS - a in 0.001 seconds\r\nTESTSUITE s failed.\r\nPROJECT EXECUTION SUCCESSFUL',
      'the board says that suite s failed, and no failed test of it came',
    ],
    ['login: ', 'no test results came (looked for unity, ztest, gtest, tap)'],
    ['1..0 # SKIP no hardware', 'no test was run'],
    ['1..0 # SKIP no hardware', 'no test is planned: SKIP no hardware'],
  ])('is a failure: %j', (text, problem) => {
    const summary = collected(text);
    expect(summary.problems).toContain(problem);
    expect(failureOf(summary)).toContain(problem);
  });

  test('a result whose line was lost is taken from the list at the end', () => {
    const { text, tests } = SAMPLES[1] as Sample;
    const summary = collected(text.replace(' FAIL - test_ring in 0.012 seconds\r\n', ''));
    expect(sorted(summary.tests).map((each) => JSON.parse(each).status)).toEqual(
      sorted(tests).map((each) => JSON.parse(each).status),
    );
  });

  test('the test that was running when the board crashed is told as such', () => {
    const collector = new ResultsCollector('auto', () => {});
    collector.push(Buffer.from('Running TESTSUITE s\r\nSTART - test_a\r\n'));
    const summary = collector.end({ status: 'crash', message: 'the board crashed (zephyr)' });
    expect(summary.tests).toEqual([
      { suite: 's', name: 'test_a', status: 'crash', message: 'the board crashed (zephyr)' },
    ]);
  });

  test('a test in which the board started again is none that passed', () => {
    const begun = 'Running TESTSUITE s\r\nSTART - test_a\r\n';
    const summary = collected(
      `${begun}*** Booting Zephyr OS build v3.7.0 ***\r\n${begun} PASS - test_a in 0.001 seconds\r\nPROJECT EXECUTION SUCCESSFUL`,
    );
    expect(summary.tests.map(({ status }) => status)).toEqual(['crash', 'pass']);
  });

  test('a result of another test does not stand for the one that was begun', () => {
    const summary = collected(
      'Running TESTSUITE s\r\nSTART - test_a\r\n PASS - test_b in 0.001 seconds\r\nPROJECT EXECUTION SUCCESSFUL',
    );
    expect(summary.tests).toMatchObject([
      { name: 'test_b', status: 'pass' },
      { name: 'test_a', status: 'missing' },
    ]);
  });

  test('a run after the first one counts for itself', () => {
    const unity = 'a.c:1:t:PASS\r\n1 Tests 0 Failures 0 Ignored\r\nOK\r\n';
    expect(failureOf(collected(unity + unity))).toBeUndefined();
    expect(failureOf(collected(`${unity}a.c:1:t:PASS\r\n2 Tests 0 Failures 0 Ignored\r\nOK`))).toContain(
      '2 tests were planned, 1 have a result',
    );
  });
});

test.each([
  'AT\r\nOK\r\n',
  'Running memory test...\r\n',
  'main.c:12: error: something\r\n',
  '[    1.000000] 1..2 is no plan here\r\n',
  'I (312) main:12:x: PASSED\r\n',
])('no results: %j', (text) => {
  expect(collected(text).format).toBeUndefined();
});

test('points without numbers are counted, where a plan or a name says that they are points', () => {
  expect(collected('1..3\r\nok\r\nnot ok\r\nok - c').tests).toEqual([
    { name: 'test 1', status: 'pass' },
    { name: 'test 2', status: 'fail' },
    { name: 'c', status: 'pass' },
  ]);
  expect(collected('ok\r\nok - done\r\nok\r\n').format).toBeUndefined();
});

describe('what serial lines and terminals put between texts changes nothing', () => {
  const { text, tests } = SAMPLES[1] as Sample;
  test.each<[string, (line: string) => string]>([
    ['line ends the wrong way round', (line) => `${line}\n\r`],
    ['bare line ends', (line) => `${line}\r`],
    ['NULs', (line) => `\0${line}\r\0\n`],
    [
      'progress before the line',
      (line) => `${line.startsWith(' PASS') ? 'flashing  50%\r'.repeat(1000) : ''}${line}\r\n`,
    ],
    ['terminal sequences', (line) => `\x1b[?25l\x1b]0;title\x07\x1b[K\x1b(B${line}\x1b[0m\r\r\n`],
  ])('%s', (_name, ended) => {
    for (const size of [1, 7, 1_000_000]) {
      const collector = new ResultsCollector('auto', () => {});
      const bytes = Buffer.from(`${text.split('\r\n').map(ended).join('')}\r\n`);
      for (let from = 0; from < bytes.length; from += size) collector.push(bytes.subarray(from, from + size));
      expect(collector.end()).toEqual({ format: 'ztest', tests, problems: [] });
    }
  });
});

test('work grows with the number of tests, not with its square', () => {
  const count = 100_000;
  const names = Array.from({ length: count }, (_, index) => `test_${index}`);
  const begun = names.map((name) => `START - ${name}\n PASS - ${name} in 0.001 seconds\n`).join('');
  const listed = names.map((name) => ` - PASS - [s.${name}] duration = 0.001 seconds\n`).join('');
  const collector = new ResultsCollector('auto', () => {});
  collector.push(Buffer.from(`Running TESTSUITE s\n${begun}${listed}PROJECT EXECUTION SUCCESSFUL\n`));
  const summary = collector.end();
  expect(failureOf(summary)).toBeUndefined();
  expect(junitOf('board', summary, undefined)).toContain(`tests="${count}" failures="0"`);
});

test('a line that almost says something takes no time', () => {
  const long = (text: string): string => text.repeat(Math.ceil(8000 / text.length));
  const hostile = [
    `[  FAILED  ] ${long('.')} x`,
    `[       OK ] ${long('.')} x`,
    `a:1:${long(':PASS:')}\u2028`,
    `ok 1 ${long(' ')}x`,
    `ok 1 - ${long('# ')}`,
    `Assertion failed at ${long(':1')}`,
    long('W (1'),
    long('\x1b[0;'),
  ];
  const collector = new ResultsCollector('auto', () => {});
  // With the square of their length these are minutes.
  for (let i = 0; i < 100; i++) collector.push(Buffer.from(`${hostile.join('\n')}\n`));
  expect(collector.end().tests.every(({ name }) => name !== '')).toBe(true);
});

test('a board that announces tests for ever, or tells of more than can be kept, is bounded', () => {
  const endless = new ResultsCollector('ztest', () => {});
  endless.push(Buffer.from('Running TESTSUITE s\nSTART - test_a\nSTART - test_b\n'));
  for (let i = 0; i < 100; i++) endless.push(Buffer.from('START - test_c\n'.repeat(100)));
  expect(endless.end().tests.length).toBeLessThan(2000);
  let told = 0;
  const many = new ResultsCollector('tap', () => {
    told++;
  });
  many.push(Buffer.from('ok 1 - a\n'.repeat(100_100)));
  const { tests, problems } = many.end();
  expect([told, tests.length]).toEqual([100_000, 100_000]);
  expect(problems).toContain('more than 100000 results came');
});

test('memory stays bounded whatever comes', () => {
  const collector = new ResultsCollector('auto', () => {});
  const noise = Buffer.alloc(1024 * 1024, 'x');
  for (let i = 0; i < 64; i++) collector.push(noise);
  collector.push(Buffer.from('\na.c:1:t:PASS\n1 Tests 0 Failures 0 Ignored\nOK\n'));
  expect(failureOf(collector.end())).toBeUndefined();
});

test('how the bytes are cut changes nothing, and no garbage between them stops it', () => {
  const { pick } = seededRandom();
  const bytes = Array.from({ length: 256 }, (_, index) => index);
  for (const { text, tests, format } of EVERY_SAMPLE) {
    for (let round = 0; round < 40; round++) {
      const told: TestResult[] = [];
      const collector = new ResultsCollector(format, (each) => told.push(each));
      const garbage = Buffer.from(Array.from({ length: pick([0, 3, 200]) }, () => pick(bytes)));
      let rest = Buffer.concat([garbage, Buffer.from(`\r\n${text}\r\n`)]);
      while (rest.length > 0) {
        const size = pick([1, 2, 3, 7, 64, 4096]);
        collector.push(rest.subarray(0, size));
        rest = rest.subarray(size);
      }
      expect(collector.end().tests).toEqual(tests);
    }
  }
});

test('any text is taken without complaint', () => {
  const { pick } = seededRandom();
  const lines = SAMPLES.flatMap(({ text }) => text.split('\r\n'));
  const marks = ['[   12.345678] x\r\n', '\r\n', '\r\n', '', 'not ', ':', 'OK'];
  for (let round = 0; round < 300; round++) {
    const text = Array.from({ length: 30 }, () => {
      const line = pick(lines);
      return `${line.slice(0, pick([2, 9, 40, 200]))}${pick(marks)}`;
    }).join('');
    const collector = new ResultsCollector(pick(['auto', 'unity', 'ztest', 'gtest', 'tap']), () => {});
    collector.push(Buffer.from(text));
    failureOf(collector.end({ status: 'crash', message: 'x' }));
    expect(collector.end().tests.length).toBeLessThan(100);
  }
});
