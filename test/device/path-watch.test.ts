import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { PathWatch } from '../../src/device/path-watch.ts';
import { tempFolder } from '../temp-folder.ts';

let folder: string;

beforeEach(() => {
  folder = tempFolder();
});

function make(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  return path;
}

/** What happens to a path, once it is watched; resolves with the first event. */
async function heardAfter(path: string, change: () => void): Promise<void> {
  let hear = (): void => {};
  const heard = new Promise<void>((resolve) => (hear = resolve));
  using watch = new PathWatch(() => hear());
  watch.follow([path]);
  change();
  await heard;
}

test('a node that appears is heard of', async () => {
  const path = join(folder, 'ttyACM0');
  await expect(heardAfter(path, () => make(path))).resolves.toBeUndefined();
});

test('what appears behind a link is heard of', async () => {
  const node = join(folder, 'dev', 'ttyACM0');
  mkdirSync(dirname(node));
  const link = join(folder, 'by-id');
  symlinkSync(node, link);
  await expect(heardAfter(link, () => make(node))).resolves.toBeUndefined();
});

test('the folder of a path appears, as that of the first serial adapter does', async () => {
  const path = join(folder, 'serial', 'by-id', 'port');
  await expect(heardAfter(path, () => make(path))).resolves.toBeUndefined();
});

test('a path that is followed no longer is not heard of', async () => {
  const path = join(folder, 'ttyACM0');
  let count = 0;
  using watch = new PathWatch(() => (count += 1));
  watch.follow([path]);
  watch.follow([]);
  make(path);
  rmSync(path);
  await expect(heardAfter(path, () => make(path))).resolves.toBeUndefined();
  expect(count).toBe(0);
});
