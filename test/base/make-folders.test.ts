import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolders } from '../../src/base/make-folders.ts';
import { tempFolder } from '../temp-folder.ts';

test('a folder is made with the parents it lacks, which are told, the lowest first', () => {
  const top = tempFolder();
  const path = join(top, 'a', 'b', 'c');
  expect(makeFolders(path)).toEqual([path, join(top, 'a', 'b'), join(top, 'a')]);
  expect(existsSync(path)).toBe(true);
  expect(makeFolders(path)).toEqual([]);
  expect(makeFolders(join(top, 'a', 'd'))).toEqual([join(top, 'a', 'd')]);
});

test.each([
  ['where the system takes none', () => '/proc/sai', 'ENOENT'],
  ['below a file', (folder: string) => join(folder, 'file', 'x'), 'ENOTDIR'],
  ['below a link to nothing', (folder: string) => join(folder, 'link', 'x', 'y'), 'ENOENT'],
])('%s, that is an error and no endless try', (_name, pathIn, code) => {
  const folder = tempFolder();
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'nothing'), join(folder, 'link'));
  expect(() => makeFolders(pathIn(folder))).toThrow(expect.objectContaining({ code }));
});
