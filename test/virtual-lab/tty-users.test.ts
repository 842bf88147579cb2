import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tryFlock } from '../../src/native/flock.ts';
import { openPty, type PtyPair } from '../../src/native/pty.ts';
import { TtyUsers } from '../../src/virtual-lab/tty-users.ts';
import { until } from '../until.ts';

let pair: PtyPair;
beforeEach(() => {
  pair = openPty();
});
afterEach(() => {
  closeSync(pair.ttyFd);
  closeSync(pair.masterFd);
});

/** Another process that has the tty open and says nothing. */
function reader(): ChildProcess {
  const fd = openSync(pair.ttyPath, 'r+');
  const child = spawn('sleep', ['60'], { stdio: [fd, 'ignore', 'ignore'] });
  closeSync(fd);
  return child;
}

test('who has the tty open uses it, until it closes it', async () => {
  using users = new TtyUsers(pair.ttyPath);
  expect([users.isInUse(), users.wasOpened()]).toEqual([false, false]);
  const child = reader();
  expect([users.isInUse(), users.wasOpened()]).toEqual([true, true]);
  child.kill();
  await once(child, 'exit');
  expect([users.isInUse(), users.wasOpened()]).toEqual([false, false]);
});

test('who has the tty locked uses it, also where its descriptors are not to be seen', async () => {
  using users = new TtyUsers(pair.ttyPath);
  // This process stands for one whose descriptors are hidden: its own are never looked at.
  const fd = openSync(pair.ttyPath, 'r+');
  expect(users.isInUse()).toBe(false);
  expect(tryFlock(fd)).toBe(true);
  expect(users.isInUse()).toBe(true);
  closeSync(fd);
  await until(() => !users.isInUse(), 'the lock is gone');
});

test('the user of another tty does not count', () => {
  const other = openPty();
  using users = new TtyUsers(other.ttyPath);
  const child = reader();
  expect(users.isInUse()).toBe(false);
  child.kill();
  closeSync(other.ttyFd);
  closeSync(other.masterFd);
});
