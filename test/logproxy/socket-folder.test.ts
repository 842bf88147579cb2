import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SocketFolder } from '../../src/logproxy/socket-folder.ts';
import { tempFolder } from '../temp-folder.ts';

/** What a killed run leaves: nobody holds it. */
function deadFolder(parent: string): string {
  const folder = mkdtempSync(join(parent, 'sai-log-'));
  const program = `require('node:net').createServer().listen(${JSON.stringify(join(folder, 'control'))}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', program]);
  expect(readdirSync(folder)).toEqual(['control']);
  return folder;
}

test('what a killed run left is removed by the next one; what lives, and what is not ours, is not', () => {
  const parent = tempFolder();
  using living = SocketFolder.make([parent], 'control');
  deadFolder(parent);
  mkdtempSync(join(parent, 'sai-log-'));
  const withFile = mkdtempSync(join(parent, 'sai-log-'));
  writeFileSync(join(withFile, 'notes'), '');
  const named = join(parent, 'sai-log-nights');
  mkdirSync(named);
  chmodSync(named, 0o755);
  using next = SocketFolder.make([parent], 'control');
  const there = readdirSync(parent).map((name) => join(parent, name));
  expect(there.sort()).toEqual([living.path, next.path, withFile, named].sort());
});

test('a parent that is missing, or too long for a socket, is passed over for the next', () => {
  const parent = tempFolder();
  const long = join(parent, 'x'.repeat(100));
  mkdirSync(long);
  using folder = SocketFolder.make([join(parent, 'none'), long, parent], 'control');
  expect(folder.path.startsWith(`${parent}/sai-log-`)).toBe(true);
});

test('goes when it is disposed', () => {
  const parent = tempFolder();
  SocketFolder.make([parent], 'control')[Symbol.dispose]();
  expect(readdirSync(parent)).toEqual([]);
});
