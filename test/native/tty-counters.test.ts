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
