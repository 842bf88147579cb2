import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { beginLease } from '../../src/device/lease.ts';
import { leaseFilePath, readLeaseFile } from '../../src/device/lease-file.ts';
import { LockedPlace, tryLockLeaseFile } from '../../src/device/locked-place.ts';
import { surveyPlaces } from '../../src/device/place.ts';
import { openRunDir } from '../../src/device/run-dir.ts';
import { DeviceLock } from '../../src/device/tty-lock.ts';
import { openPty } from '../../src/native/pty.ts';
import { pooledUno } from '../peers/pooled-uno.ts';
import { tempFolder } from '../temp-folder.ts';

test('a lease that cannot be written down for all places is written down as over for the others', () => {
  const ptys = [openPty(), openPty()];
  const device = pooledUno(ptys.map(({ ttyPath }) => ttyPath));
  const { runDir } = openRunDir({ configured: tempFolder(), ttyGid: undefined, force: false });
  const [first, second] = surveyPlaces(device).places ?? [];
  if (!runDir || !first || !second) throw new Error('a temp folder will do, and there are two ptys');
  const locked = [first, second].map((place) => {
    const leaseFd = Number(tryLockLeaseFile(place, runDir));
    if (place === first) return new LockedPlace(place, openSync(place.path, 'r'), leaseFd);
    closeSync(leaseFd);
    // As a disk on which there is room for the first alone.
    return new LockedPlace(place, openSync(place.path, 'r'), openSync(leaseFilePath(runDir, place), 'r'));
  });
  const begin = (): unknown =>
    beginLease({
      holdings: [{ role: undefined, device }],
      places: [first, second],
      lock: new DeviceLock(locked),
      runDir,
      command: 'true',
      parent: undefined,
    });
  expect(begin).toThrow(/cannot write down the lease: EBADF/);
  expect(readLeaseFile(runDir, first)?.releasedAtMs).toEqual(expect.any(Number));
  for (const { masterFd, ttyFd } of ptys) for (const fd of [masterFd, ttyFd]) closeSync(fd);
});
