import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { UnreadFile } from '../../src/expect/unread-bytes.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'su-'));
  path = join(folder, 'console-0.unread');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('what was left is loaded, and stays until something takes its place', () => {
  new UnreadFile(path).replace(Buffer.from('rest'));
  const next = new UnreadFile(path);
  expect(Buffer.from(next.load()).toString()).toBe('rest');
  expect(Buffer.from(new UnreadFile(path).load()).toString()).toBe('rest');
  next.replace(new Uint8Array());
  expect(new UnreadFile(path).load()).toHaveLength(0);
});

test('a first session finds nothing, and leaves no file when it has nothing to leave', () => {
  const file = new UnreadFile(path);
  expect(file.load()).toHaveLength(0);
  file.replace(new Uint8Array());
  expect(readdirSync(folder)).toEqual([]);
});

test('reads are added as they come, until it is time to write anew', () => {
  const file = new UnreadFile(path);
  file.load();
  expect(file.append(Buffer.from('ab'))).toBe(true);
  expect(file.append(Buffer.from('cd'))).toBe(true);
  expect(readFileSync(path, 'latin1')).toBe('abcd');
  expect(file.append(Buffer.alloc(128 * 1024))).toBe(false);
  expect(readFileSync(path, 'latin1')).toBe('abcd');
});

test('a file that is too long is read from its end', () => {
  writeFileSync(path, Buffer.concat([Buffer.alloc(200_000), Buffer.from('end')]));
  const bytes = new UnreadFile(path).load();
  expect(bytes).toHaveLength(64 * 1024);
  expect(Buffer.from(bytes.subarray(-3)).toString()).toBe('end');
});

test('what a killed writer left unfinished is not read', () => {
  new UnreadFile(path).replace(Buffer.from('whole'));
  writeFileSync(`${path}.new`, 'ha');
  const next = new UnreadFile(path);
  expect(Buffer.from(next.load()).toString()).toBe('whole');
  next.replace(Buffer.from('new'));
  expect(readdirSync(folder)).toEqual(['console-0.unread']);
});

test('a folder that has gone is told', () => {
  rmSync(folder, { recursive: true });
  expect(() => new UnreadFile(path).append(Buffer.from('x'))).toThrow(RigError);
});
