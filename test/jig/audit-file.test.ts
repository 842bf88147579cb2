import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type AuditEntry, AuditFile } from '../../src/jig/audit-file.ts';
import { NO_SMALL_DISK, smallDisk } from '../peers/small-disk.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

function entry(durationMs: number): AuditEntry {
  return {
    atMs: 0,
    address: '127.0.0.1',
    certificate: undefined,
    token: 'abcd1234',
    target: 'dut',
    sequence: 'reset',
    fence: 7,
    status: 200,
    outcome: 'done',
    durationMs,
  };
}

function linesOf(path: string): Record<string, unknown>[] {
  const text = readFileSync(path, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('an entry is a line, in the order of writing, behind what there is', async () => {
  const path = join(tempFolder(), 'audit');
  {
    await using audit = new AuditFile(path, () => {});
    audit.write(entry(0));
  }
  {
    await using audit = new AuditFile(path, () => {});
    for (const count of [1, 2, 3]) audit.write(entry(count));
  }
  expect(linesOf(path)).toEqual(
    [0, 1, 2, 3].map((count) => JSON.parse(JSON.stringify(entry(count))) as unknown),
  );
  expect(statSync(path).mode & 0o007).toBe(0);
});

test('the file is bounded: the one before is kept, and no other', async () => {
  const path = join(tempFolder(), 'audit');
  await using audit = new AuditFile(path, () => {}, 1000);
  for (let count = 0; count < 100; count++) {
    audit.write(entry(count));
    if (count % 10 === 9) await audit[Symbol.asyncDispose]();
  }
  const kept = [...linesOf(`${path}.1`), ...linesOf(path)].map(({ durationMs }) => durationMs);
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => 100 - kept.length + index));
  for (const file of [path, `${path}.1`]) expect(statSync(file).size).toBeLessThanOrEqual(1000);
  expect(existsSync(`${path}.2`)).toBe(false);
});

test('a folder that is not there loses entries, which is said once, and counted once it is', async () => {
  const folder = tempFolder();
  const path = join(folder, 'log', 'audit');
  const remarks: string[] = [];
  const audit = new AuditFile(path, (text) => remarks.push(text));
  for (const count of [0, 1, 2]) audit.write(entry(count));
  await audit[Symbol.asyncDispose]();
  expect(remarks).toEqual([
    expect.stringMatching(/audit: cannot write the audit: ENOENT: .*; going on without$/),
  ]);
  mkdirSync(join(folder, 'log'));
  audit.write(entry(3));
  await audit[Symbol.asyncDispose]();
  expect(linesOf(path)).toMatchObject([{ lost: 3 }, { durationMs: 3 }]);
  expect(remarks.slice(1)).toEqual([`${path}: the audit goes on`]);
});

test('a pipe that nobody reads loses entries, and is not waited for', async () => {
  const path = join(tempFolder(), 'audit');
  execFileSync('mkfifo', [path]);
  const remarks: string[] = [];
  const audit = new AuditFile(path, (text) => remarks.push(text));
  audit.write(entry(0));
  await until(() => remarks.length > 0, 'it is told');
  expect(remarks).toEqual([expect.stringMatching(/audit: cannot write the audit: ENXIO/)]);
  await audit[Symbol.asyncDispose]();
});

test('entries that come faster than a disk takes them are counted, all of them', async () => {
  const path = join(tempFolder(), 'audit');
  const audit = new AuditFile(path, () => {});
  const count = 3000;
  for (let index = 0; index < count; index++) {
    audit.write(entry(index));
    // Also while the line that tells of the first is on its way.
    if (index > 1500) await new Promise((resolve) => setImmediate(resolve));
  }
  await audit[Symbol.asyncDispose]();
  audit.write(entry(-1));
  await audit[Symbol.asyncDispose]();
  const lines = linesOf(path);
  const lost = lines.reduce((sum, line) => sum + Number(line['lost'] ?? 0), 0);
  expect(lost).toBeGreaterThan(0);
  expect(lines.filter((line) => line['lost'] === undefined).length + lost).toBe(count + 1);
});

test.skipIf(NO_SMALL_DISK !== undefined)(
  `a full disk loses entries, never half of one${NO_SMALL_DISK ? ` (${NO_SMALL_DISK})` : ''}`,
  async () => {
    const folder = smallDisk(65_536);
    chmodSync(folder, 0o755);
    const path = join(folder, 'audit');
    const remarks: string[] = [];
    const audit = new AuditFile(path, (text) => remarks.push(text));
    writeFileSync(join(folder, 'ballast'), Buffer.alloc(32_768));
    for (let count = 0; remarks.length === 0 && count < 1000; count++) {
      audit.write(entry(count));
      await audit[Symbol.asyncDispose]();
    }
    await until(() => remarks.length === 1, 'the disk is full');
    expect(remarks[0]).toContain('ENOSPC');
    const before = linesOf(path).length;
    rmSync(join(folder, 'ballast'));
    audit.write(entry(-1));
    await audit[Symbol.asyncDispose]();
    expect(linesOf(path).slice(before)).toMatchObject([{ lost: 1 }, { durationMs: -1 }]);
    expect(
      linesOf(path)
        .map(({ durationMs }) => durationMs)
        .slice(0, before),
    ).toEqual(Array.from({ length: before }, (_, index) => index));
  },
);
