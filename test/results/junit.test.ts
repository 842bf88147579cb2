import { expect, test } from 'vitest';
import { junitOf, liveBegin, liveEnd, testCase } from '../../src/results/junit.ts';

test('whatever a board says is text in the file', () => {
  const hostile = 'a<b>&"c"\u0000\u001b[1m\ufffe\n]]>é𝄞';
  const shown = 'a&lt;b&gt;&amp;&quot;c&quot;\ufffd\ufffd[1m\ufffd ]]&gt;é𝄞';
  const xml = testCase('board', {
    name: hostile,
    suite: hostile,
    status: 'fail',
    message: hostile,
    file: hostile,
    line: 3,
  });
  expect(xml).toBe(
    `<testcase classname="${shown}" name="${shown}" file="${shown}" line="3">` +
      `<failure message="${shown}" type="fail">${shown}:3: ${shown}</failure></testcase>\n`,
  );
});

test('suites are counted apart, and problems are errors of the run', () => {
  const xml = junitOf(
    'board',
    {
      format: 'ztest',
      tests: [
        { suite: 's', name: 'a', status: 'pass', durationMs: 1500 },
        { suite: 's', name: 'b', status: 'skip', message: 'later' },
        { suite: 's', name: 'c', status: 'crash', message: 'PANIC' },
        { suite: 't', name: 'd', status: 'missing', message: 'none' },
      ],
      problems: ['too few'],
    },
    { message: 'the tty is gone', step: '--expect "x"' },
  );
  expect(xml).toBe(
    [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<testsuites>',
      '<testsuite name="s" tests="3" failures="0" errors="1" skipped="1" time="1.500">',
      '<testcase classname="s" name="a" time="1.500"/>',
      '<testcase classname="s" name="b"><skipped message="later"/></testcase>',
      '<testcase classname="s" name="c"><error message="PANIC" type="crash"/></testcase>',
      '</testsuite>',
      '<testsuite name="t" tests="1" failures="0" errors="1" skipped="0" time="0.000">',
      '<testcase classname="t" name="d"><error message="none" type="missing"/></testcase>',
      '</testsuite>',
      '<testsuite name="board: sai-expect" tests="2" failures="0" errors="2" skipped="0" time="0.000">',
      '<testcase classname="sai-expect" name="--expect &quot;x&quot;"><error message="the tty is gone" type="run"/></testcase>',
      '<testcase classname="sai-expect" name="the run, 2"><error message="too few" type="run"/></testcase>',
      '</testsuite>',
      '</testsuites>',
      '',
    ].join('\n'),
  );
});

test('a failure that a test has is no case of its own', () => {
  const failed = { name: 'a', status: 'fail' } as const;
  const summary = { format: 'tap', tests: [failed], problems: [] } as const;
  const xml = junitOf('board', summary, { message: 'tty0: 1 of 1 tests did not pass: a' });
  expect(xml.match(/<testcase /g)).toHaveLength(1);
  expect(xml).toContain('<failure message="the board says no more than that it failed" type="fail">');
  const crashed = { ...summary, tests: [{ ...failed, status: 'crash', message: 'it crashed' }] } as const;
  expect(junitOf('board', crashed, { message: 'it crashed' }).match(/<testcase /g)).toHaveLength(1);
  const short = { ...summary, problems: ['2 tests were planned, 1 have a result'] };
  expect(
    junitOf('board', short, { message: `tty0: 1 of 1 tests did not pass: a; ${short.problems[0]}` }),
  ).toContain(
    '<testcase classname="sai-expect" name="the run"><error message="2 tests were planned, 1 have a result"',
  );
});

test('a file that grows is whole after each part', () => {
  const xml = liveBegin('a&b') + testCase('a&b', { name: 't', status: 'pass' }) + liveEnd();
  const opened = [...xml.matchAll(/<(testsuites?|testcase)\b(?:[^>]*[^/>])?>/g)].map(([, tag]) => tag);
  const closed = [...xml.matchAll(/<\/(testsuites?|testcase)>/g)].map(([, tag]) => tag);
  expect(opened.sort()).toEqual(closed.sort());
  expect(xml).toContain('name="a&amp;b"');
});
