import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findRunDir, openRunDir } from '../../src/device/run-dir.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rundir-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const open = (configured: string): ReturnType<typeof openRunDir> =>
  openRunDir({ configured, ttyGid: undefined, force: false });

test('SAI_RUN_DIR is made where it is missing, with folders that keep the group and protect each user’s files', () => {
  const path = join(folder, 'a', 'run');
  const [leases, queue, state] = ['leases', 'queue', 'state'].map((name) => join(path, name));
  expect(open(path)).toEqual({ runDir: { path, leases, queue, state } });
  expect(statSync(join(path, 'queue')).mode & 0o7777).toBe(0o3775);
  expect(open(path)).toEqual({ runDir: findRunDir({ configured: path, ttyGid: undefined }) });
});

test('a folder that cannot be used is refused, and another is not taken in its place', () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  expect(() => open(file)).toThrow(expect.objectContaining({ blame: 'config' }));
  for (const use of [open, (configured: string) => findRunDir({ configured, ttyGid: undefined })]) {
    expect(() => use('run')).toThrow('SAI_RUN_DIR: expected an absolute path, got "run"');
  }
  expect(() => open('/proc/no/run')).toThrow(/SAI_RUN_DIR: \/proc\/no\/run: cannot be used: ENOENT/);
  expect(() => open(join(folder, 'x'.repeat(300)))).toThrow(/SAI_RUN_DIR: .*: cannot be used: ENAMETOOLONG/);
});

test('looking for the folder makes none', () => {
  expect(findRunDir({ configured: join(folder, 'none'), ttyGid: undefined })).toBeUndefined();
  expect(readdirSync(folder)).toEqual([]);
});
