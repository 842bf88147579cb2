import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readFlocks, splitDeviceNumber } from '../../src/base/proc-locks.ts';
import { surveyPlaces } from '../../src/device/place.ts';
import { tryFlock } from '../../src/native/flock.ts';
import { openPty, type PtyPair } from '../../src/native/pty.ts';
import { pooledUno } from '../peers/pooled-uno.ts';

let folder: string;
let boards: PtyPair[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'place-'));
  boards = [openPty(), openPty()];
});
afterEach(() => {
  for (const { masterFd, ttyFd } of boards) for (const fd of [masterFd, ttyFd]) closeSync(fd);
  rmSync(folder, { recursive: true, force: true });
});

const pathOf = (index: number): string => boards[index]?.ttyPath ?? '';

test('places come in one order, whatever the order in the config, and each once', () => {
  const link = join(folder, 'by-id');
  symlinkSync(pathOf(0), link);
  const namesOf = (...ttys: string[]): string[] =>
    (surveyPlaces(pooledUno(ttys)).places ?? []).map((place) => place.name);
  expect(namesOf(pathOf(0), pathOf(1))).toHaveLength(2);
  expect(namesOf(pathOf(1), pathOf(0))).toEqual(namesOf(pathOf(0), pathOf(1)));
  expect(namesOf(pathOf(1), link, pathOf(0))).toEqual(namesOf(pathOf(0), pathOf(1)));
});

test('a tty of the machine is named after the hardware behind it, a file after its inode', () => {
  const file = join(folder, 'probe');
  writeFileSync(file, '');
  const { dev, ino } = statSync(file);
  const [place] = surveyPlaces(pooledUno([], [file])).places ?? [];
  expect(place?.name).toBe(`inode-${dev.toString(16)}-${ino}`);
  const [console] = surveyPlaces(pooledUno([], ['/dev/tty'])).places ?? [];
  expect(console?.name).toMatch(/^(?:virtual!tty!tty|char-5-0)$/);
});

test('a path that is not there is a problem with a cure, and so is one behind a file', () => {
  const missing = join(folder, 'ttyUSB9');
  expect(surveyPlaces(pooledUno([pathOf(0), missing])).problem).toEqual({
    blame: 'hardware',
    path: missing,
    text: `${missing}: no such tty; plug the board in, or correct the config`,
  });
  expect(surveyPlaces(pooledUno([`${pathOf(0)}/x`])).problem?.text).toContain(': no such tty; ');
  expect(surveyPlaces(pooledUno([], [missing])).problem?.text).toContain(': no such file; ');
  const tooLong = `/dev/${'x'.repeat(300)}`;
  expect(surveyPlaces(pooledUno([tooLong])).problem?.text).toBe(
    `${tooLong}: cannot be used: ENAMETOOLONG; correct the config`,
  );
});

test('a flock shows in the table with its holder, and is gone with it; a look at it disturbs nobody', () => {
  const place = surveyPlaces(pooledUno([pathOf(0)])).places?.[0];
  if (!place) throw new Error('the pty is there');
  const fd = openSync(place.path, constants.O_RDWR | constants.O_NOCTTY);
  expect(readFlocks().holderOf(place)).toBeUndefined();
  expect(tryFlock(fd)).toBe(true);
  expect(readFlocks().holderOf(place)).toBe(process.pid);
  closeSync(fd);
  expect(readFlocks().holderOf(place)).toBeUndefined();
});

test.each([
  [0x8800, 136, 0],
  [0xfe00, 254, 0],
  [0x1a, 0, 26],
  [0x1234_5678, 0x456, 0x12378],
])('device number 0x%x is %d:%d', (dev, major, minor) => {
  expect(splitDeviceNumber(dev)).toEqual({ major, minor });
});
