import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { afterEach, expect, test } from 'vitest';
import { tryFlock } from '../../src/native/flock.ts';
import { SystemError } from '../../src/native/libc.ts';
import { readModemLines, setModemLines } from '../../src/native/modem-lines.ts';
import { openPty } from '../../src/native/pty.ts';
import { bytesWaiting, makeRaw, readTtySettings } from '../../src/native/termios.ts';
import { until } from '../until.ts';

const OPEN = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
const open = new Set<number>();

function kept(fd: number): number {
  open.add(fd);
  return fd;
}

function ptyPair(): ReturnType<typeof openPty> {
  const pair = openPty();
  kept(pair.masterFd);
  kept(pair.ttyFd);
  return pair;
}

function close(fd: number): void {
  open.delete(fd);
  closeSync(fd);
}

afterEach(() => {
  for (const fd of open) close(fd);
});

test('a new pty is raw and does not echo what the board says back into the board', async () => {
  const { masterFd, ttyFd } = ptyPair();
  expect(readTtySettings(ttyFd)).toEqual({
    baudRate: 115_200,
    hangUpOnClose: false,
    raw: true,
    echo: false,
    local: true,
  });
  writeSync(masterFd, 'Hit any key to stop autoboot\r\n');
  // The kernel hands bytes on in a thread of its own.
  await until(() => bytesWaiting(ttyFd) === 30, '30 bytes are at the tty');
  expect(() => readSync(masterFd, Buffer.alloc(10))).toThrow('EAGAIN');
});

test.each([300, 31_250, 74_880, 115_200, 921_600, 12_345_678])('a tty runs at %d baud', (baudRate) => {
  const { ttyFd } = ptyPair();
  makeRaw(ttyFd, { baudRate, hangUpOnClose: true });
  expect(readTtySettings(ttyFd)).toMatchObject({ baudRate, hangUpOnClose: true, local: true });
});

test.each([50, 9600, 38_400, 57_600, 115_200, 460_800, 921_600, 4_000_000])(
  'the rate %d is shown also by programs that know no others than those with a name',
  (baudRate) => {
    const { ttyFd, ttyPath } = ptyPair();
    makeRaw(ttyFd, { baudRate: 31_250, hangUpOnClose: false });
    makeRaw(ttyFd, { baudRate, hangUpOnClose: false });
    expect(readTtySettings(ttyFd).baudRate).toBe(baudRate);
    expect(spawnSync('stty', ['-F', ttyPath, 'speed'], { encoding: 'utf8' }).stdout).toBe(`${baudRate}\n`);
  },
);

test('setting a tty keeps the bytes that have already arrived', async () => {
  const { masterFd, ttyFd } = ptyPair();
  writeSync(masterFd, 'early');
  await until(() => bytesWaiting(ttyFd) === 5, '5 bytes are at the tty');
  makeRaw(ttyFd, { baudRate: 9600, hangUpOnClose: false });
  const bytes = Buffer.alloc(16);
  expect(bytes.toString('latin1', 0, readSync(ttyFd, bytes))).toBe('early');
});

test('a pty has no modem lines, and says so', () => {
  const { ttyFd } = ptyPair();
  expect(() => readModemLines(ttyFd)).toThrow(expect.objectContaining({ code: 'ENOTTY' }));
  expect(() => setModemLines(ttyFd, { dtr: true })).toThrow(expect.objectContaining({ code: 'ENOTTY' }));
});

test('a hung-up tty answers EIO', () => {
  const { masterFd, ttyFd } = ptyPair();
  close(masterFd);
  expect(() => readTtySettings(ttyFd)).toThrow(SystemError);
  expect(() => readTtySettings(ttyFd)).toThrow(expect.objectContaining({ code: 'EIO' }));
});

test('the lock of one open file description excludes every other, also in the same process', () => {
  const { ttyFd, ttyPath } = ptyPair();
  const other = kept(openSync(ttyPath, OPEN));
  expect(tryFlock(ttyFd)).toBe(true);
  expect(tryFlock(other)).toBe(false);
  expect(tryFlock(other, 'shared')).toBe(false);
  close(ttyFd);
  expect(tryFlock(other)).toBe(true);
});

test('a stream made from the locked descriptor loses the lock: why no stream ever gets it', async () => {
  const { ttyFd, ttyPath } = ptyPair();
  const other = kept(openSync(ttyPath, OPEN));
  expect(tryFlock(ttyFd)).toBe(true);
  open.delete(ttyFd);
  const stream = new ReadStream(ttyFd);
  expect(tryFlock(other)).toBe(true);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.destroy();
  await closed;
});
