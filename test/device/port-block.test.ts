import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  FIRST_PORT,
  LAST_PORT,
  listeningPorts,
  PORTS_PER_BLOCK,
  type PortBlock,
  takePortBlock,
} from '../../src/device/port-block.ts';
import { openRunDir, type RunDir } from '../../src/device/run-dir.ts';
import { tempFolder } from '../temp-folder.ts';

const NONE: ReadonlySet<number> = new Set();

function newRunDir(): RunDir {
  const { runDir } = openRunDir({ configured: tempFolder(), ttyGid: undefined, force: false });
  if (!runDir) throw new Error('a configured folder is used, or refused');
  return runDir;
}

function take(runDir: RunDir, busy = NONE): PortBlock {
  const block = takePortBlock(runDir, busy);
  onTestFinished(() => closeSync(block.fd));
  return block;
}

test('each lease gets a block of its own, and a block comes free with its last descriptor', () => {
  const runDir = newRunDir();
  const first = takePortBlock(runDir, NONE);
  expect([first.base, take(runDir).base]).toEqual([FIRST_PORT, FIRST_PORT + PORTS_PER_BLOCK]);
  closeSync(first.fd);
  expect(take(runDir).base).toBe(FIRST_PORT);
});

test('a block is flocked, so that any program can see it', () => {
  const runDir = newRunDir();
  const { base } = take(runDir);
  const { status } = spawnSync('flock', ['-n', join(runDir.path, `ports-${base}.lock`), 'true']);
  expect(status).toBe(1);
});

test('a block in which somebody listens is passed over', () => {
  expect(take(newRunDir(), new Set([FIRST_PORT + 9, FIRST_PORT + 10])).base).toBe(FIRST_PORT + 20);
});

test('when all are taken, it says so', () => {
  const everyTenth = Array.from(
    { length: (LAST_PORT + 1 - FIRST_PORT) / 10 },
    (_, index) => FIRST_PORT + index * 10,
  );
  expect(() => takePortBlock(newRunDir(), new Set(everyTenth))).toThrow(
    expect.objectContaining({
      blame: 'unavailable',
      message:
        'expected a free block of 10 TCP ports from 24000 to 24999, found none; ' +
        'end what listens there (ss -ltn), or wait for other leases to end',
    }),
  );
});

test('without a shared folder nothing is promised', () => {
  expect(() => takePortBlock(undefined)).toThrow(expect.objectContaining({ blame: 'unavailable' }));
});

test.each(['127.0.0.1', '::1', '0.0.0.0', '::'])('a listener on %s is seen, and its end', async (address) => {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(listeningPorts()).toContain(port);
  server.close();
  await once(server, 'close');
  expect(listeningPorts()).not.toContain(port);
});

test('a connection is no listener; a kernel without IPv6 has one file only', () => {
  const folder = tempFolder();
  writeFileSync(
    join(folder, 'tcp'),
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n' +
      '   0: 0100007F:5DC0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n' +
      '   1: 0100007F:5DC1 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0\n',
  );
  expect([...listeningPorts(folder)]).toEqual([24_000]);
});
