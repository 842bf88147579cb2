import { closeSync, readSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { errnoCode } from '../../src/base/errors.ts';
import { openPty } from '../../src/native/pty.ts';
import { openTtyConsole, TtyConsole } from '../../src/tty/tty-console.ts';
import { consoleContract } from './console-contract.ts';

consoleContract(openTtyConsole, { flushesAtOpen: 'never' });

const open = new Set<number>();
afterEach(() => {
  for (const fd of open) closeSync(fd);
  open.clear();
});

test('a tty that cannot be opened anew is written to without stopping the process', async () => {
  // A pty's master is such a tty: no path leads to it a second time.
  const { masterFd, ttyFd } = openPty();
  open.add(ttyFd);
  await using console = new TtyConsole(masterFd, 'master');
  let isSent = false;
  const sending = console.send(Buffer.alloc(100_000, 'x')).then(() => {
    isSent = true;
  });
  await new Promise((resolve) => setImmediate(resolve)); // the loop turns although nobody reads
  expect(isSent).toBe(false);
  let received = 0;
  await expect.poll(() => (received += readAll(ttyFd)), { interval: 1, timeout: 20_000 }).toBe(100_000);
  await sending;
});

function readAll(fd: number): number {
  const buffer = Buffer.alloc(65_536);
  let sizeBytes = 0;
  try {
    for (;;) sizeBytes += readSync(fd, buffer);
  } catch (error) {
    if (errnoCode(error) !== 'EAGAIN') throw error;
    return sizeBytes;
  }
}
