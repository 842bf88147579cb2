import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bearsFlock, readFlocks } from '../../src/base/proc-locks.ts';
import { tryFlock } from '../../src/native/flock.ts';
import { tempFolder } from '../temp-folder.ts';

test('a process bears a flock that it took, and one that it was given; nobody else does', async () => {
  const path = join(tempFolder(), 'file');
  writeFileSync(path, '');
  const fd = openSync(path, 'r');
  const file = statSync(path);
  expect(bearsFlock(process.pid, file)).toBe(false);
  tryFlock(fd);
  const heir = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit', fd] });
  const stranger = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
  const pids = [process.pid, heir.pid ?? 0, stranger.pid ?? 0, 2 ** 30];
  expect(pids.map((pid) => bearsFlock(pid, file))).toEqual([true, true, false, false]);
  closeSync(fd);
  // The lock is the open file's; who took it has let go.
  expect(readFlocks().holderOf(file)).toBe(process.pid);
  expect(pids.map((pid) => bearsFlock(pid, file))).toEqual([false, true, false, false]);
  for (const child of [heir, stranger]) {
    child.stdin?.end();
    await once(child, 'exit');
  }
});
