import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type ProcessInfo, readProcess } from '../../src/base/process-table.ts';
import { isKept, withoutDaemons } from '../../src/device/daemons.ts';

describe('a process is meant by', () => {
  const own = readFileSync('/proc/self/comm', 'utf8').trim();
  test.each([
    ['its name', own, true],
    ['its program', 'node', true],
    ['a pattern of the whole name', 'no*', true],
    ['a pattern of characters', 'n?d?', true],
    ['any pattern', '*', true],
    ['no part of the name', 'nod', false],
    ['no other spelling', 'NODE', false],
    ['nothing that a regular expression would mean', 'n.de', false],
    ['nothing that a regular expression would choke on', '(node', false],
  ])('%s: %s', (_what, pattern, expected) => {
    expect(isKept(process.pid, ['nothing-else', pattern])).toBe(expected);
  });

  test('nothing once it has ended', () => {
    expect(isKept(2 ** 30, ['*'])).toBe(false);
  });
});

test('of a tree, what left its parents is kept with all that it started, but never the command', () => {
  const self = readProcess(process.pid);
  if (!self) throw new Error('this process lives');
  // Names are those of living processes: all are this one's, whatever their place in the tree.
  const member = (ppid: number): ProcessInfo => ({ ...self, ppid });
  const command = member(1);
  expect(withoutDaemons([command], ['*'], self.pid)).toEqual([command]);
  expect(withoutDaemons([command], ['*'], 1)).toEqual([]);
  expect(withoutDaemons([command], [], 1)).toEqual([command]);
  expect(withoutDaemons([command], ['*'], undefined)).toEqual([command]);
  const parent = { ...self, pid: 2 ** 30, ppid: 1 };
  const child = member(parent.pid);
  expect(withoutDaemons([parent, child], ['node'], 1)).toEqual([parent, child]);
});
