import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { removeFolder } from '../../scripts/remove-folder.mjs';
import { tempFolder } from '../temp-folder.ts';

/** Fills a folder as fast as it can, also one that is removed under it, until it is killed. */
const WRITER = `
  const { mkdirSync, writeFileSync } = require('node:fs');
  for (let at = 0; ; at++) {
    try {
      mkdirSync('inner', { recursive: true });
      writeFileSync('inner/' + at, '');
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
    if (at === 100) console.log('writing');
  }`;

test('a folder into which somebody still writes is removed once that has ended', async () => {
  const folder = join(tempFolder(), 'scratch');
  mkdirSync(folder);
  const writer = spawn(process.execPath, ['-e', WRITER], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void writer.kill('SIGKILL'));
  await once(writer.stdout, 'data');
  const removed = removeFolder(folder);
  const ended = once(writer, 'close');
  writer.kill('SIGKILL');
  await ended;
  await removed;
  expect(existsSync(folder)).toBe(false);
});

test('a folder that is not there is no failure', async () => {
  await expect(removeFolder(join(tempFolder(), 'none'))).resolves.toBeUndefined();
});
