import { closeSync, constants, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openPty } from '../../src/native/pty.ts';
import { readTtyCounters } from '../../src/native/tty-counters.ts';

test('a pty counts nothing', () => {
  const { masterFd, ttyFd } = openPty();
  try {
    expect(readTtyCounters(ttyFd)).toBeUndefined();
  } finally {
    closeSync(ttyFd);
    closeSync(masterFd);
  }
});

test('what is no tty counts nothing', () => {
  const fd = openSync('/dev/null', constants.O_RDONLY);
  try {
    expect(readTtyCounters(fd)).toBeUndefined();
  } finally {
    closeSync(fd);
  }
});

test('a UART counts', ({ skip }) => {
  let fd: number | undefined;
  try {
    fd = openSync('/dev/ttyS0', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch {
    return skip('needs a serial port that may be opened: /dev/ttyS0');
  }
  try {
    const counters = readTtyCounters(fd);
    skip(counters === undefined, 'needs a serial port whose driver counts: /dev/ttyS0');
    expect(counters).toEqual({
      overruns: expect.any(Number),
      framingErrors: expect.any(Number),
      parityErrors: expect.any(Number),
    });
  } finally {
    closeSync(fd);
  }
});
