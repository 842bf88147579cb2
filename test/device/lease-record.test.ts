import { closeSync, constants, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { concludeLease, writeLeaseRecord } from '../../src/device/lease-record.ts';
import type { LeaseRecord } from '../../src/wire/lease.ts';
import { NO_SMALL_DISK, smallDisk } from '../peers/small-disk.ts';
import { tempFolder } from '../temp-folder.ts';

function recordIn(folder: string, command: string): LeaseRecord {
  return {
    version: 2,
    folder,
    devices: [{ name: 'uno1', type: 'uno', answersTo: ['uno'], ttys: [] }],
    holderPid: 1,
    holderStartTicks: 1,
    user: 'ann',
    command,
    sinceMs: 1,
    fence: 1,
  };
}

function leaseFileIn(folder: string): { readonly path: string; readonly fd: number } {
  const path = join(folder, 'place.lease');
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT);
  onTestFinished(() => closeSync(fd));
  return { path, fd };
}

test('a record replaces a longer one', () => {
  const folder = tempFolder();
  const { path, fd } = leaseFileIn(folder);
  for (const command of ['make test '.repeat(100), 'true']) writeLeaseRecord(fd, recordIn(folder, command));
  expect(readFileSync(path, 'utf8')).toBe(`${JSON.stringify(recordIn(folder, 'true'))}\n`);
});

test('a lease ends without a trace but its record, also where the disk is full', (context) => {
  context.skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
  const disk = smallDisk(64 * 1024);
  const folder = join(disk, 'lease');
  mkdirSync(folder);
  const { path, fd } = leaseFileIn(disk);
  // On one page; with the time of the release it needs a second one, which only the folder can give.
  const page = 4096;
  const rest = page - JSON.stringify(recordIn(folder, '')).length - 10;
  const record = recordIn(folder, 'x'.repeat(rest));
  writeLeaseRecord(fd, record);
  writeFileSync(join(folder, 'findings.jsonl'), 'x'.repeat(page));
  expect(() => writeFileSync(join(disk, 'ballast'), Buffer.alloc(1_000_000))).toThrow('ENOSPC');
  concludeLease(record, [fd]);
  expect(existsSync(folder)).toBe(false);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ ...record, releasedAtMs: expect.any(Number) });
});
