import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import type { Unread } from '../../src/expect/stream-watch.ts';
import { UnreadFile } from '../../src/expect/unread-bytes.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'su-'));
  path = join(folder, 'console-0.unread');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const unread = (text: string, before: string): Unread => ({
  bytes: Buffer.from(text),
  before: before.charCodeAt(0),
});

function loaded(file = new UnreadFile(path)): string {
  const { bytes, before } = file.load();
  return `${before === undefined ? 'nothing' : JSON.stringify(String.fromCharCode(before))} then ${Buffer.from(bytes)}`;
}

test('what was left is loaded, and stays until something takes its place', () => {
  new UnreadFile(path).replace(unread('rest', ' '));
  const next = new UnreadFile(path);
  expect(loaded(next)).toBe('" " then rest');
  expect(loaded()).toBe('" " then rest');
  next.replace(unread('', 't'));
  expect(loaded()).toBe('"t" then ');
});

test('a first session finds nothing, and leaves no file when it has nothing to leave', () => {
  const file = new UnreadFile(path);
  expect(loaded(file)).toBe('nothing then ');
  file.replace({ bytes: new Uint8Array(), before: undefined });
  expect(readdirSync(folder)).toEqual([]);
});

test('reads are added as they come, until it is time to write anew', () => {
  const file = new UnreadFile(path);
  file.load();
  expect(file.append(Buffer.from('ab'))).toBe(true);
  expect(file.append(Buffer.from('cd'))).toBe(true);
  expect(loaded()).toBe('"\\n" then abcd');
  expect(file.append(Buffer.alloc(1024 * 1024))).toBe(false);
  expect(loaded()).toBe('"\\n" then abcd');
  file.replace(unread('d', 'c'));
  expect(file.append(Buffer.from('ef'))).toBe(true);
  expect(loaded()).toBe('"c" then def');
});

test('a file that is too long is read from its end', () => {
  const long = Buffer.concat([Buffer.alloc(200_000), Buffer.from('end')]);
  writeFileSync(path, long);
  const { bytes, before } = new UnreadFile(path).load();
  expect(bytes).toHaveLength(64 * 1024);
  expect(Buffer.from(bytes.subarray(-3)).toString()).toBe('end');
  expect(before).toBe(0);
});

test('what a killed writer left unfinished is not read', () => {
  new UnreadFile(path).replace(unread('whole', '\n'));
  writeFileSync(`${path}.new`, 'ha');
  const next = new UnreadFile(path);
  expect(loaded(next)).toBe('"\\n" then whole');
  next.replace(unread('new', '\n'));
  expect(readdirSync(folder)).toEqual(['console-0.unread']);
});

test('a folder that has gone is told', () => {
  rmSync(folder, { recursive: true });
  expect(() => new UnreadFile(path).append(Buffer.from('x'))).toThrow(RigError);
});
