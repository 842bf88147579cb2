import { expect, test } from 'vitest';
import { formatDuration, parseDurationMs } from '../../src/base/duration.ts';

test.each([
  ['300ms', 300],
  ['2s', 2000],
  ['1.5m', 90_000],
  ['8h', 28_800_000],
])('%s is %d milliseconds', (text, ms) => {
  expect(parseDurationMs(text, '--timeout')).toBe(ms);
});

test.each(['', '5', '-1s', '1 day', 's', '9999h'])('%j is refused, with what it was for', (text) => {
  expect(() => parseDurationMs(text, '--timeout')).toThrow(
    expect.objectContaining({
      blame: 'usage',
      message: expect.stringMatching(/^--timeout: expected (?:a duration|at most 596 h)/),
    }),
  );
});

test.each([
  [250, '250 ms'],
  [1500, '1.5 s'],
  [2000, '2 s'],
  [12_400, '12 s'],
  [59_999, '1 min'],
  [185_000, '3 min 5 s'],
  [7_800_000, '2 h 10 min'],
])('%d ms reads as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
