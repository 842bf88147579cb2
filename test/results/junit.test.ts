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
    'it failed',
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
      '<testsuite name="board: the run" tests="2" failures="0" errors="2" skipped="0" time="0.000">',
      '<testcase classname="board" name="run 1"><error message="it failed" type="run"/></testcase>',
      '<testcase classname="board" name="run 2"><error message="too few" type="run"/></testcase>',
      '</testsuite>',
      '</testsuites>',
      '',
    ].join('\n'),
  );
});

test('a file that grows is whole after each part', () => {
  const xml = liveBegin('a&b') + testCase('a&b', { name: 't', status: 'pass' }) + liveEnd('a&b');
  const opened = [...xml.matchAll(/<(testsuites?|testcase)\b(?:[^>]*[^/>])?>/g)].map(([, tag]) => tag);
  const closed = [...xml.matchAll(/<\/(testsuites?|testcase)>/g)].map(([, tag]) => tag);
  expect(opened.sort()).toEqual(closed.sort());
  expect(xml).toContain('name="a&amp;b"');
});
