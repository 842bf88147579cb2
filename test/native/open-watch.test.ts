import { closeSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OpenWatch } from '../../src/native/open-watch.ts';
import { openPty } from '../../src/native/pty.ts';
import { tempFolder } from '../temp-folder.ts';

test('whoever opens a tty is noticed, once, and whoever writes to it is not', () => {
  const { masterFd, ttyFd, ttyPath } = openPty();
  using watch = new OpenWatch(ttyPath);
  expect(watch.wasOpened()).toBe(false);
  const fd = openSync(ttyPath, 'r+');
  writeFileSync(fd, 'x');
  closeSync(fd);
  expect(watch.wasOpened()).toBe(true);
  expect(watch.wasOpened()).toBe(false);
  writeFileSync(ttyFd, 'x');
  expect(watch.wasOpened()).toBe(false);
  closeSync(ttyFd);
  closeSync(masterFd);
});

test('a link is followed, and nothing is refused', () => {
  const folder = tempFolder();
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('file', join(folder, 'link'));
  using watch = new OpenWatch(join(folder, 'link'));
  for (let count = 0; count < 1000; count++) closeSync(openSync(join(folder, 'file'), 'r'));
  expect([watch.wasOpened(), watch.wasOpened()]).toEqual([true, false]);
  expect(() => new OpenWatch(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});
