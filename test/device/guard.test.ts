import { closeSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Guard } from '../../src/device/guard.ts';
import { MAX_LINE_BYTES } from '../../src/device/guard-order.ts';
import { beginLease, type Lease } from '../../src/device/lease.ts';
import { surveyPlaces } from '../../src/device/place.ts';
import { tryLockDevice } from '../../src/device/tty-lock.ts';
import { openPty } from '../../src/native/pty.ts';
import { pooledUno } from '../peers/pooled-uno.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

/** A lease of a pty, without a shared folder. */
function leaseOf(ttyPath: string): Lease {
  const device = pooledUno([ttyPath]);
  const places = surveyPlaces(device).places ?? [];
  const { lock } = tryLockDevice(places, undefined);
  if (!lock) throw new Error('nobody else knows the pty');
  return beginLease({
    holdings: [{ role: undefined, device }],
    places,
    lock,
    runDir: undefined,
    command: 'true',
    parent: undefined,
  });
}

test('a guard that never stays alive is replaced a number of times, then given up aloud', async () => {
  const { ttyPath, masterFd, ttyFd } = openPty();
  const lease = leaseOf(ttyPath);
  let replaced = 0;
  const guard = await new Promise<Guard>((resolve) => {
    const started: Guard = new Guard(lease, {
      program: '/no/such/program.cjs',
      graceMs: 0,
      onReplaced: () => (replaced += 1),
      onLost: () => resolve(started),
    });
  });
  expect(replaced).toBe(19);
  await guard.end();
  lease.release();
  for (const fd of [masterFd, ttyFd]) closeSync(fd);
});

test('a guard that stands in is told of any number of processes in lines that it takes', async () => {
  const { ttyPath, masterFd, ttyFd } = openPty();
  const lease = leaseOf(ttyPath);
  const folder = tempFolder();
  const heard = join(folder, 'heard');
  const program = join(folder, 'guard.cjs');
  writeFileSync(
    program,
    `const lines = require('node:readline').createInterface({ input: process.stdin });
    let count = 0, longest = 0;
    lines.on('line', (line) => {
      count += JSON.parse(line).length;
      longest = Math.max(longest, line.length);
      if (count === 60000) require('node:fs').writeFileSync(${JSON.stringify(heard)}, String(longest));
    });`,
  );
  const guard = new Guard(lease, { program, graceMs: 0 });
  guard.know(Array.from({ length: 60_000 }, (_, index) => ({ pid: index + 1, startTicks: 123_456_789 })));
  guard.relieve();
  await until(() => existsSync(heard) && readFileSync(heard, 'utf8') !== '', 'it has heard of all');
  expect(Number(readFileSync(heard, 'utf8'))).toBeLessThan(MAX_LINE_BYTES);
  await guard.end();
  lease.release();
  for (const fd of [masterFd, ttyFd]) closeSync(fd);
});
