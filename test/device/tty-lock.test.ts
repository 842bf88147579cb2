import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { surveyPlaces } from '../../src/device/place.ts';
import { loadPool } from '../../src/device/pool.ts';
import { openRunDir } from '../../src/device/run-dir.ts';
import { tryLockDevice } from '../../src/device/tty-lock.ts';
import { openPipe } from '../../src/native/pipe.ts';
import { openPty } from '../../src/native/pty.ts';
import { tempFolder } from '../temp-folder.ts';

/** Source: proc(5), /proc/pid/fdinfo; <asm-generic/fcntl.h>. */
function isClosedAtExec(fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0';
  return (Number.parseInt(flags, 8) & 0o2000000) !== 0;
}

test('no descriptor of a lock, nor one that C opened, is there for a child to inherit', async () => {
  const { masterFd, ttyFd, ttyPath } = openPty();
  const { readFd, writeFd } = openPipe();
  onTestFinished(() => {
    for (const fd of [masterFd, ttyFd, readFd, writeFd]) closeSync(fd);
  });
  const { runDir } = openRunDir({ configured: tempFolder(), ttyGid: undefined, force: false });
  const config = join(tempFolder(), 'conf');
  writeFileSync(config, JSON.stringify({ devices: [{ name: 'uno1', type: 'uno', ttys: [ttyPath] }] }));
  const [device] = await loadPool(config);
  const { places = [] } = device ? surveyPlaces(device) : {};
  const { lock } = tryLockDevice(places, runDir);
  if (!lock) throw new Error('nobody else knows the pty');
  const fds = [...lock.nodeDescriptors, ...lock.leaseDescriptors, masterFd, ttyFd, readFd, writeFd];
  expect(fds.map((fd) => isClosedAtExec(fd))).toEqual(Array(6).fill(true));
  lock.release();
});
