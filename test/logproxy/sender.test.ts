import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Receiver } from '../../src/logproxy/receiver.ts';
import { LogSender } from '../../src/logproxy/sender.ts';
import { memoryInUse } from '../peers/memory-use.ts';
import { RecordingSink } from '../peers/recording-sink.ts';
import { tempFolder } from '../temp-folder.ts';

async function openReceiver(): Promise<{ path: string; sink: RecordingSink; receiver: Receiver }> {
  const sink = new RecordingSink();
  const path = join(tempFolder(), 's');
  const receiver = await Receiver.open({ address: path, sink, onBrokenWriter: () => {} });
  onTestFinished(() => receiver[Symbol.asyncDispose]());
  return { path, sink, receiver };
}

/** A proxy that is there and does not read. */
async function openStalledProxy(): Promise<{ path: string; server: Server; accepted: Promise<Socket> }> {
  const path = join(tempFolder(), 's');
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, 'listening');
  const accepted = once(server, 'connection').then(([socket]) => socket as Socket);
  onTestFinished(async () => {
    (await accepted).destroy();
    server.close();
  });
  return { path, server, accepted };
}

test('what is sent before the connection is made arrives, in order, with its direction', async () => {
  const { path, sink, receiver } = await openReceiver();
  const sender = new LogSender(path);
  sender.send(Buffer.from('login: '));
  sender.send(Buffer.from('root\n'), 'out');
  sender.send(Buffer.from('# '));
  expect(await sender.close()).toBeUndefined();
  await receiver.settle();
  const told = sink.arrivals.map(({ direction, ...each }) => [
    direction,
    'bytes' in each ? String(Buffer.from(each.bytes)) : each,
  ]);
  expect(told).toEqual([
    ['in', 'login: '],
    ['out', 'root\n'],
    ['in', '# '],
  ]);
});

test('bytes longer than a frame arrive whole', async () => {
  const { path, sink, receiver } = await openReceiver();
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251));
  const sender = new LogSender(path);
  sender.send(bytes);
  await sender.close();
  await receiver.settle();
  expect(sink.bytes().equals(bytes)).toBe(true);
});

test('what a slow proxy leaves no room for is dropped, and the gaps add up to exactly what is missing', async () => {
  const { path, sink, receiver } = await openReceiver();
  const sender = new LogSender(path, { pendingLimitBytes: 256 * 1024 });
  sink.fill();
  let sentBytes = 0;
  for (let round = 0; round < 5; round++) {
    for (let index = 0; index < 200; index++) {
      const bytes = Buffer.alloc(4000 + index, round);
      sender.send(bytes);
      sentBytes += bytes.length;
    }
    // Room is made now and then, so that there are several gaps.
    const before = sink.arrivals.length;
    sink.drain();
    await sink.until(() => sink.arrivals.length > before + 10);
    sink.fill();
  }
  sink.drain();
  expect(await sender.close()).toBeUndefined();
  await receiver.settle();
  const lostBytes = sink.gaps.reduce((sum, gap) => sum + gap, 0);
  expect(sink.gaps.length).toBeGreaterThan(1);
  expect(sink.bytes().length + lostBytes).toBe(sentBytes);
});

test('a proxy that does not read makes nobody wait, keeps memory bounded, and the loss is known at the end', async () => {
  const { path } = await openStalledProxy();
  const sender = new LogSender(path, { farewellMs: 50 });
  const chunk = Buffer.alloc(65_536, 'x');
  const before = memoryInUse().arrayBuffers;
  for (let index = 0; index < 1600; index++) sender.send(chunk);
  expect(memoryInUse().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
  const loss = await sender.close();
  expect(loss?.reason).toBe('the log proxy does not read');
  // What the kernel took of the first batch is not known to be lost.
  expect(loss?.bytes).toBeGreaterThan(96 * 1024 * 1024);
  expect(loss?.bytes).toBeLessThanOrEqual(1600 * 65_536);
});

test('a proxy that reads again before the end gets all, or the gap', async () => {
  const { path, accepted } = await openStalledProxy();
  const sender = new LogSender(path, { pendingLimitBytes: 512 * 1024 });
  for (let index = 0; index < 100; index++) sender.send(Buffer.alloc(65_536, 'x'));
  const socket = await accepted;
  const closed = once(socket, 'end');
  socket.resume();
  expect(await sender.close()).toBeUndefined();
  await closed;
});

test('a proxy that is missing is no loss', async () => {
  const sender = new LogSender(join(tempFolder(), 'none'));
  for (let index = 0; index < 200; index++) sender.send(Buffer.alloc(65_536));
  expect(await sender.close()).toBeUndefined();
});

test('a proxy that goes away under way is a loss of at least what came after', async () => {
  const { path, accepted } = await openStalledProxy();
  const sender = new LogSender(path);
  sender.send(Buffer.alloc(2 * 1024 * 1024));
  (await accepted).destroy();
  sender.send(Buffer.alloc(1024 * 1024));
  const loss = await sender.close();
  expect(loss?.bytes).toBeGreaterThanOrEqual(1024 * 1024);
});
