import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { RunLog } from '../../src/logproxy/run-log.ts';
import { timeNow } from '../../src/logproxy/sink.ts';
import { tempFolder } from '../temp-folder.ts';

function openRun(folder: string, ifTaken: 'refuse' | 'number' = 'refuse'): RunLog {
  const { atMs, monotonicNs } = timeNow();
  const facts = { command: ['true'], startedAtMs: atMs, startedMonotonicNs: monotonicNs };
  return new RunLog({ folder, ifTaken, facts, onRecord: () => {}, onTrouble: () => {} });
}

test('a run that never began takes every folder with it that was made for it', () => {
  const parent = tempFolder();
  openRun(join(parent, 'a/b/c')).discard();
  expect(readdirSync(parent)).toEqual([]);
});

test('a run that never began leaves alone what others have put beside it meanwhile', () => {
  const parent = tempFolder();
  const run = openRun(join(parent, 'logs/one'));
  openRun(join(parent, 'logs/two'));
  run.discard();
  expect(readdirSync(join(parent, 'logs'))).toEqual(['two']);
  expect(readdirSync(join(parent, 'logs/two'))).toEqual(['run.json']);
});

test('a folder that was there is kept, and one that is taken is refused and left as it was', () => {
  const folder = tempFolder();
  openRun(folder).discard();
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(join(folder, 'run.json'), 'of another run');
  expect(() => openRun(folder)).toThrow(`${folder}: expected a new or empty folder, found 1 entry`);
  expect(readdirSync(folder)).toEqual(['run.json']);
});

test('runs that may be numbered have a folder each', () => {
  const folder = join(tempFolder(), 'log');
  const folders = [openRun(folder, 'number'), openRun(folder, 'number'), openRun(folder, 'number')];
  expect(folders.map((each) => each.folder)).toEqual([folder, `${folder}-2`, `${folder}-3`]);
  expect(readdirSync(dirname(folder)).sort()).toEqual(['log', 'log-2', 'log-3']);
});
