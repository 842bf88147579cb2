import { once } from 'node:events';
import { closeSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beginLease, type Lease } from '../../src/device/lease.ts';
import { lendSocketPath } from '../../src/device/lend-protocol.ts';
import { LendServer } from '../../src/device/lend-server.ts';
import { surveyPlaces } from '../../src/device/place.ts';
import { loadPool } from '../../src/device/pool.ts';
import { openRunDir, type RunDir } from '../../src/device/run-dir.ts';
import { TtyKeeper } from '../../src/device/tty-keeper.ts';
import { tryLockDevice } from '../../src/device/tty-lock.ts';
import { openPty, type PtyPair } from '../../src/native/pty.ts';
import { isLocked } from '../peers/onlookers.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

let board: PtyPair;

beforeEach(() => {
  board = openPty();
});

afterEach(() => {
  for (const fd of [board.masterFd, board.ttyFd]) closeSync(fd);
});

async function leaseOf(runDir: RunDir | undefined): Promise<Lease> {
  const config = join(tempFolder(), 'conf');
  writeFileSync(config, JSON.stringify({ devices: [{ name: 'uno1', type: 'uno', ttys: [board.ttyPath] }] }));
  const [device] = await loadPool(config);
  const places = (device && surveyPlaces(device).places) ?? [];
  const { lock } = tryLockDevice(places, runDir);
  if (!lock || !device) throw new Error('nobody else knows the pty');
  const holdings = [{ role: undefined, device }] as const;
  return beginLease({ holdings: [...holdings], places, lock, runDir, command: 'true', parent: undefined });
}

/** A lease, and who lends its ttys; both over at the end of the test. */
async function lendingLease(runDir: RunDir | undefined): Promise<Disposable & { readonly lease: Lease }> {
  const lease = await leaseOf(runDir);
  const options = { guard: { relieve: () => true }, detail: () => {} };
  const keeper = new TtyKeeper(lease, options);
  const server = new LendServer(lease, { keeper, say: () => {} });
  return {
    lease,
    [Symbol.dispose]: () => {
      server[Symbol.dispose]();
      keeper[Symbol.dispose]();
      lease.release();
    },
  };
}

async function asking(lease: Lease, line = '{"version":1,"ask":"lend"}'): Promise<Socket> {
  const socket = connect(lendSocketPath(lease.record.folder));
  await once(socket, 'connect');
  socket.write(`${line}\n`);
  return socket;
}

async function answerTo(socket: Socket): Promise<unknown> {
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return JSON.parse(chunk.toString());
}

const sharedFolder = (): RunDir => {
  const { runDir } = openRunDir({ configured: tempFolder(), ttyGid: undefined, force: false });
  if (!runDir) throw new Error('a temporary folder can be shared');
  return runDir;
};

test('a second tool is lent the ttys when the first one has given them back, or is gone', async () => {
  using lending = await lendingLease(sharedFolder());
  const first = await asking(lending.lease);
  expect(await answerTo(first)).toEqual({ answer: 'lent' });
  expect(isLocked(board.ttyPath)).toBe(false);
  const second = await asking(lending.lease);
  first.write('{"version":1,"ask":"return"}\n');
  const [back, lent] = await Promise.all([answerTo(first), answerTo(second)]);
  expect({ back, lent }).toEqual({ back: { answer: 'back' }, lent: { answer: 'lent' } });
  first.destroy();
  const third = await asking(lending.lease);
  second.destroy();
  expect(await answerTo(third)).toEqual({ answer: 'lent' });
  third.destroy();
  await until(() => isLocked(board.ttyPath), 'the tty is locked again');
});

test('a tool that has gone before its turn is passed over', async () => {
  using lending = await lendingLease(sharedFolder());
  const first = await asking(lending.lease);
  await answerTo(first);
  (await asking(lending.lease)).destroy();
  const last = await asking(lending.lease);
  first.destroy();
  expect(await answerTo(last)).toEqual({ answer: 'lent' });
  last.destroy();
  await until(() => isLocked(board.ttyPath), 'the tty is locked again');
});

test.each([
  ['no JSON', 'hello'],
  ['another version', '{"version":2,"ask":"lend"}'],
  ['more than any request', 'x'.repeat(20_000)],
])('a request that is %s is refused, and nothing is lent', async (_what, line) => {
  using lending = await lendingLease(sharedFolder());
  const socket = await asking(lending.lease, line);
  expect(await answerTo(socket)).toMatchObject({ answer: 'refused' });
  expect(isLocked(board.ttyPath)).toBe(true);
  socket.destroy();
});

test('nothing is lent without a shared run folder: nobody else would know of the lease', async () => {
  using lending = await lendingLease(undefined);
  const socket = await asking(lending.lease);
  expect(await answerTo(socket)).toEqual({
    answer: 'refused',
    why: 'without a shared run folder only the locks of its ttys keep other sai-devices out; have root make /run/sai',
  });
  expect(isLocked(board.ttyPath)).toBe(true);
  socket.destroy();
});
