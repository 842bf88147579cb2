import { expect, test } from 'vitest';
import { channelName, channelNumber } from '../../src/wire/log.ts';

test('channels have the numbers that Sai gave them, and a name each', () => {
  const names = Array.from({ length: 64 }, (_, index) => channelName(index + 1));
  expect(names.slice(0, 5)).toEqual(['stdout', 'stderr', 'control', 'tty0', 'tty1']);
  expect(names.slice(-2)).toEqual(['tty59', 'jig']);
  expect(names.map((name) => channelNumber(name))).toEqual(names.map((_, index) => index + 1));
});

test.each(['tty60', 'tty01', 'tty', 'TTY0', '4', '', 'toString'])('%j is no channel', (name) => {
  expect(channelNumber(name)).toBeUndefined();
});
