import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newcArchive } from '../../src/virtual-lab/newc-archive.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';

const ENTRIES = [
  { path: 'etc', mode: 0o040755 },
  { path: 'etc/some.file', mode: 0o100640, data: Buffer.from('five\n') },
  { path: 'empty', mode: 0o100755, data: Buffer.alloc(0) },
  { path: 'init', mode: 0o120777, data: Buffer.from('etc/some.file') },
  { path: 'tty', mode: 0o020600, device: [5, 0] },
] as const;

test('cpio unpacks what was packed', (context) => {
  needsProgram(context, 'cpio');
  needsRoot(context, 'the archive holds a device node');
  const folder = join(tempFolder(), 'root');
  mkdirSync(folder);
  const { status, stderr } = spawnSync('cpio', ['--extract', '--quiet'], {
    cwd: folder,
    input: newcArchive(ENTRIES),
  });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  expect(ENTRIES.map(({ path }) => lstatSync(join(folder, path)).mode)).toEqual(
    ENTRIES.map(({ mode }) => mode),
  );
  expect(readFileSync(join(folder, 'etc/some.file'), 'utf8')).toBe('five\n');
  expect(statSync(join(folder, 'empty')).size).toBe(0);
  expect(readlinkSync(join(folder, 'init'))).toBe('etc/some.file');
  expect(statSync(join(folder, 'tty')).rdev).toBe(0x500);
});

test('every part begins at a multiple of four bytes', () => {
  const archive = newcArchive(ENTRIES);
  expect(archive.length % 4).toBe(0);
  for (let at = archive.indexOf('070701'); at >= 0; at = archive.indexOf('070701', at + 1))
    expect(at % 4).toBe(0);
});
