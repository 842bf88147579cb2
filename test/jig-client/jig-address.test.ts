import { expect, test } from 'vitest';
import { parseJigAddress } from '../../src/jig-client/jig-address.ts';

test.each([
  ['http://pi:44000', 'http://pi:44000', undefined],
  ['http://pi:44000/', 'http://pi:44000', undefined],
  ['http://pi:44000/uno-1', 'http://pi:44000', 'uno-1'],
  ['https://lab.example/jigs/left/uno-1/', 'https://lab.example/jigs/left', 'uno-1'],
  ['http://[::1]:44000/uno-1', 'http://[::1]:44000', 'uno-1'],
])('%s is a jig and its target', (text, base, target) => {
  expect(parseJigAddress(text, '--url')).toEqual({ base, target });
});

test.each(['', 'pi:44000/uno-1', 'ftp://pi/uno-1', 'http://pi/uno-1?wait=5s', 'http://pi/uno-1#x'])(
  '%j is refused, with what it was given as',
  (text) => {
    expect(() => parseJigAddress(text, '--url')).toThrow(
      `--url: expected a jig's URL, such as http://pi:44000/uno-1, got ${JSON.stringify(text)}`,
    );
  },
);
