import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openShared, openSharedToRead, readShared } from '../../src/base/shared-file.ts';
import { tempFolder } from '../temp-folder.ts';

test('a shared file is made for the whole group whatever the umask, and opened when it is there', () => {
  const before = process.umask(0o077);
  try {
    const path = join(tempFolder(), 'x.lease');
    closeSync(openShared(path));
    expect(statSync(path).mode & 0o777).toBe(0o664);
    writeFileSync(path, 'kept');
    closeSync(openShared(path));
    expect(statSync(path).size).toBe(4);
  } finally {
    process.umask(before);
  }
});

test('a link in place of a shared file is not followed', () => {
  const folder = tempFolder();
  const path = join(folder, 'x.lease');
  mkdirSync(join(folder, 'elsewhere'));
  symlinkSync(join(folder, 'elsewhere', 'secret'), path);
  expect(() => openShared(path)).toThrow('ELOOP');
  expect(existsSync(join(folder, 'elsewhere', 'secret'))).toBe(false);
});

test('a file of ours is read whole; one that is larger than any of ours is not read at all', () => {
  const path = join(tempFolder(), 'ticket');
  writeFileSync(path, 'text');
  expect(readShared(path)).toBe('text');
  truncateSync(path, 1_500_000_000);
  expect(() => readShared(path)).toThrow('expected at most 1000000 bytes, found 1500000000');
});

test.each([
  ['a FIFO', (path: string) => spawnSync('mkfifo', [path])],
  ['a folder', (path: string) => mkdirSync(path)],
  ['a link', (path: string) => symlinkSync('/dev/ptmx', path)],
])('%s in place of a file is refused at once', (_name, make) => {
  const path = join(tempFolder(), 'x');
  make(path);
  for (const open of [openShared, openSharedToRead, readShared]) {
    expect(() => open(path)).toThrow(/expected a file, found something else|EISDIR|ELOOP/);
  }
});
