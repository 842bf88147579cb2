import { closeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Guard } from '../../src/device/guard.ts';
import { beginLease, type Lease } from '../../src/device/lease.ts';
import { surveyPlaces } from '../../src/device/place.ts';
import type { PooledDevice } from '../../src/device/pool.ts';
import { tryLockDevice } from '../../src/device/tty-lock.ts';
import { openPty } from '../../src/native/pty.ts';

/** A lease of a pty, without a shared folder. */
function leaseOf(ttyPath: string): Lease {
  const device: PooledDevice = {
    name: 'uno1',
    type: 'uno',
    answersTo: ['uno'],
    tags: [],
    ttys: [{ path: ttyPath, name: undefined, baudRate: 9600, locked: true, hangUpOnClose: false }],
    locks: [],
    env: {},
    jig: undefined,
    usb: undefined,
    probe: undefined,
    waitMs: undefined,
    maxLeaseMs: undefined,
    reappearMs: 0,
    lend: 'asked',
  };
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
