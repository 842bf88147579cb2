import { chownSync, closeSync, mkdirSync, openSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeAbandonedLeases } from '../../src/device/abandoned-leases.ts';
import { openRunDir, type RunDir } from '../../src/device/run-dir.ts';
import { tryFlock } from '../../src/native/flock.ts';
import { LEASE_RECORD_FILE, type LeaseRecord } from '../../src/wire/lease.ts';
import { needsRoot } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';

const recordOf = (folder: string): LeaseRecord => ({
  version: 2,
  folder,
  devices: [{ name: 'uno1', type: 'uno', answersTo: ['uno'], ttys: [] }],
  holderPid: 1,
  holderStartTicks: 1,
  user: 'ann',
  command: 'true',
  sinceMs: 1,
  fence: 1,
});

function freshRunDir(): RunDir {
  const { runDir } = openRunDir({ configured: tempFolder(), ttyGid: undefined, force: false });
  if (!runDir) throw new Error('a temp folder will do');
  return runDir;
}

function makeLease(runDir: RunDir, name: string, age: 'old' | 'young'): LeaseRecord {
  const folder = join(runDir.leases, name);
  mkdirSync(folder);
  const record = recordOf(folder);
  writeFileSync(join(folder, LEASE_RECORD_FILE), JSON.stringify(record));
  if (age === 'old') utimesSync(folder, 1, 1);
  return record;
}

test('folders of leases that nobody holds are removed, but not one that may be in the making', () => {
  const runDir = freshRunDir();
  makeLease(runDir, 'old', 'old');
  makeLease(runDir, 'young', 'young');
  mkdirSync(join(runDir.leases, 'empty'));
  utimesSync(join(runDir.leases, 'empty'), 1, 1);
  makeLease(runDir, 'held', 'old');
  const fd = openSync(join(runDir.leases, 'held', LEASE_RECORD_FILE), 'r');
  tryFlock(fd);
  removeAbandonedLeases(runDir, []);
  expect(readdirSync(runDir.leases).sort()).toEqual(['held', 'young']);
  closeSync(fd);
  removeAbandonedLeases(runDir, []);
  expect(readdirSync(runDir.leases)).toEqual(['young']);
});

test('what another user has left is not touched, not even by root', (context) => {
  needsRoot(context, 'to give a folder away');
  const runDir = freshRunDir();
  const { folder } = makeLease(runDir, 'foreign', 'old');
  chownSync(folder, 65534, 65534);
  removeAbandonedLeases(runDir, [recordOf(folder)]);
  expect(readdirSync(folder)).toEqual([LEASE_RECORD_FILE]);
});

test('the folder of a lease that is over for sure is removed at once', () => {
  const runDir = freshRunDir();
  removeAbandonedLeases(runDir, [undefined, makeLease(runDir, 'last', 'young')]);
  expect(readdirSync(runDir.leases)).toEqual([]);
});
