import { closeSync, openSync, readSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { errnoCode } from '../../src/base/errors.ts';
import { callLibc } from '../../src/native/libc.ts';
import { makeRaw } from '../../src/native/termios.ts';
import { openTtyConsole, TTY_OPEN_FLAGS, TtyConsole } from '../../src/tty/tty-console.ts';
import { consoleContract } from './console-contract.ts';

consoleContract(openTtyConsole, { flushesAtOpen: 'never' });

/** Source: <asm-generic/ioctls.h>. */
const TIOCSPTLCK = 0x40_04_54_31;
const TIOCGPTN = 0x80_04_54_30;

const open = new Set<number>();
afterEach(() => {
  for (const fd of open) closeSync(fd);
  open.clear();
});

test('a tty that cannot be opened anew is written to without stopping the process', async () => {
  // A pty's master is such a tty: no path leads to it a second time.
  const masterFd = openSync('/dev/ptmx', TTY_OPEN_FLAGS);
  callLibc('ioctl', masterFd, TIOCSPTLCK, Buffer.alloc(4));
  const index = Buffer.alloc(4);
  callLibc('ioctl', masterFd, TIOCGPTN, index);
  const ttyFd = openSync(`/dev/pts/${index.readUInt32LE()}`, TTY_OPEN_FLAGS);
  open.add(ttyFd);
  makeRaw(ttyFd, { baudRate: 115_200, hangUpOnClose: false });
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
    for (let count = -1; count !== 0; sizeBytes += count) count = readSync(fd, buffer);
    throw new Error('the tty hung up');
  } catch (error) {
    if (errnoCode(error) !== 'EAGAIN') throw error;
    return sizeBytes;
  }
}
