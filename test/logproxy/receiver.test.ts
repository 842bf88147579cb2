import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ByteBatch } from '../../src/logproxy/byte-batch.ts';
import { ChannelLog } from '../../src/logproxy/channel-log.ts';
import { appendFrame, FRAME_OPENING, type Frame } from '../../src/logproxy/frame.ts';
import { readLogFile } from '../../src/logproxy/log-reader.ts';
import { Receiver } from '../../src/logproxy/receiver.ts';
import { ttyChannel } from '../../src/wire/log.ts';
import { RecordingSink, writeRaw } from '../peers/recording-sink.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { tempFolder } from '../temp-folder.ts';

async function openReceiver(): Promise<{
  path: string;
  sink: RecordingSink;
  receiver: Receiver;
  broken: number[];
}> {
  const sink = new RecordingSink();
  const path = join(tempFolder(), 's');
  const broken: number[] = [];
  const receiver = await Receiver.open({
    address: path,
    sink,
    onBrokenWriter: (writer) => broken.push(writer),
  });
  onTestFinished(() => receiver[Symbol.asyncDispose]());
  return { path, sink, receiver, broken };
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}

function frames(...given: readonly Frame[]): Buffer {
  const batch = new ByteBatch();
  for (const frame of given) appendFrame(batch, frame, process.hrtime.bigint());
  return Buffer.concat([FRAME_OPENING, batch.take()]);
}

const said = (text: string): Frame => ({ kind: 'bytes', direction: 'in', bytes: Buffer.from(text) });

describe('a raw writer', () => {
  test('is kept byte for byte, in whatever pieces it writes', async () => {
    const { path, sink, receiver } = await openReceiver();
    await writeRaw(path, ...[...'boot\r\n\0\x1b[0m'].map((char) => Buffer.from(char, 'latin1')));
    await receiver.settle();
    expect(sink.bytes().toString('latin1')).toBe('boot\r\n\0\x1b[0m');
    expect(sink.arrivals.every((each) => each.direction === 'in' && each.writer === 1)).toBe(true);
  });

  test.each([['\0'], ['\0\0\0'], ['\0sai'], ['\0sai2\n...'], ['\0sai1'], ['\0sai1 and more']])(
    'that begins with %j, almost as ours do, loses nothing',
    async (text) => {
      const { path, sink, receiver, broken } = await openReceiver();
      await writeRaw(path, text);
      await writeRaw(path, ...[...text]);
      await receiver.settle();
      expect(sink.bytes({ writer: 1 }).toString()).toBe(text);
      expect(sink.bytes({ writer: 2 }).toString()).toBe(text);
      expect({ gaps: sink.gaps, broken }).toEqual({ gaps: [], broken: [] });
    },
  );
});

test('beginnings that came alone, and rests of broken frames, come back whole from the file', async () => {
  const folder = tempFolder();
  const log = new ChannelLog({ folder, channel: ttyChannel(0), onRecord: () => {}, onTrouble: () => {} });
  const path = join(folder, 's');
  await using receiver = await Receiver.open({ address: path, sink: log, onBrokenWriter: () => {} });
  const large = Buffer.alloc(300_000, 'x');
  await writeRaw(path, '\0sai', large);
  await writeRaw(path, frames(said('y'.repeat(60_000))).subarray(0, 60_000), '\xff'.repeat(100_000));
  await receiver.settle();
  await log.close();
  const records = [...readLogFile(join(folder, 'tty0.sailog'), (torn) => expect(torn).toBe(0))];
  const bytes = records.reduce((sum, each) => sum + (each.kind === 'bytes' ? each.bytes.length : 0), 0);
  expect(bytes).toBe(log.totals.bytes);
  expect(readFileSync(join(folder, 'tty0.log')).subarray(0, 300_004)).toEqual(
    Buffer.concat([Buffer.from('\0sai'), large]),
  );
});

test('what somebody had written who is cut off is kept to the last byte', async () => {
  const { path, sink, receiver } = await openReceiver();
  const raw = await connected(path);
  const framed = await connected(path);
  raw.write('\0sa');
  framed.write(frames(said('whole'), said('cut here')).subarray(0, -4));
  await sink.until(() => sink.bytes().toString() === 'whole');
  await receiver.settle();
  expect(receiver.openWriters).toBe(2);
  await receiver[Symbol.asyncDispose]();
  const texts = sink.arrivals.flatMap((each) =>
    each.kind === 'bytes' ? [Buffer.from(each.bytes).toString()] : [],
  );
  expect(texts.sort()).toEqual(['\0sa', 'cut ', 'whole']);
  expect(sink.gaps).toEqual([4, 0]);
});

describe('a framed writer', () => {
  test('has its own times and directions kept, and never one that has not come yet', async () => {
    const { path, sink, receiver } = await openReceiver();
    const before = process.hrtime.bigint();
    const batch = new ByteBatch();
    appendFrame(batch, said('read'), before);
    appendFrame(batch, { kind: 'bytes', direction: 'out', bytes: Buffer.from('sent') }, before + 10n ** 18n);
    appendFrame(batch, { kind: 'end' }, before);
    await writeRaw(path, FRAME_OPENING, Buffer.from(batch.take()));
    await receiver.settle();
    const [read, sent] = sink.arrivals;
    expect(read).toMatchObject({ kind: 'bytes', direction: 'in', monotonicNs: before });
    expect(sent).toMatchObject({ kind: 'bytes', direction: 'out' });
    expect(sent?.monotonicNs).toBeLessThanOrEqual(process.hrtime.bigint());
    expect(sink.arrivals).toHaveLength(2);
  });

  test('that ends without saying so leaves a gap of unknown size', async () => {
    const { path, sink, receiver } = await openReceiver();
    await writeRaw(path, frames(said('last words')));
    await receiver.settle();
    expect(sink.bytes().toString()).toBe('last words');
    expect(sink.gaps).toEqual([0]);
  });

  test('that breaks the format is kept raw from there on, and harms nobody else', async () => {
    const { path, sink, receiver, broken } = await openReceiver();
    const neighbour = await connected(path);
    neighbour.write(frames(said('one ')));
    await sink.until(() => sink.bytes({ writer: 1 }).length === 4);
    await writeRaw(path, frames(said('fine, ')), '\xff\xff\xff\x7f lies');
    neighbour.end(frames(said('two'), { kind: 'end' }).subarray(FRAME_OPENING.length));
    await once(neighbour.resume(), 'close');
    await receiver.settle();
    expect(sink.bytes({ writer: 1 }).toString()).toBe('one two');
    expect(sink.bytes({ writer: 2 }).toString()).toBe('fine, \xff\xff\xff\x7f lies');
    expect({ gaps: sink.gaps, broken }).toEqual({ gaps: [], broken: [2] });
  });
});

test('whatever a writer makes of our format, it crashes nothing, and its neighbours keep every byte', async () => {
  const { path, sink, receiver } = await openReceiver();
  const random = seededRandom();
  const neighbour = await connected(path);
  neighbour.write(frames(said('begin;')));
  await sink.until(() => sink.bytes({ writer: 1 }).length === 6);
  const bytes = Array.from({ length: 256 }, (_, index) => index);
  for (let round = 0; round < 150; round++) {
    const whole = frames(said('x'.repeat(50)), { kind: 'gap', direction: 'out', lostBytes: 5 }, said('y'));
    for (let change = 0; change < 3; change++) {
      whole[random.pick([6, 7, 8, 9, 10, 19, 69, 70, 71, 73, 90, 91, 95])] = random.pick(bytes);
    }
    await writeRaw(path, whole.subarray(0, random.pick([whole.length, 7, 12, 40, 75])));
    neighbour.write(frames(said(`${round};`)).subarray(FRAME_OPENING.length));
  }
  neighbour.end(frames({ kind: 'end' }).subarray(FRAME_OPENING.length));
  await once(neighbour.resume(), 'close');
  await receiver.settle();
  const expected = `begin;${bytes.slice(0, 150).join(';')};`;
  expect(sink.bytes({ writer: 1 }).toString(), `SAI_TEST_SEED=${random.seed}`).toBe(expected);
  const own = sink.arrivals.filter((each) => each.writer === 1);
  expect(own.every((each) => each.kind === 'bytes')).toBe(true);
});

test('writers that are connected at the same time are told apart', async () => {
  const { path, sink, receiver } = await openReceiver();
  const texts = Array.from({ length: 20 }, (_, index) => `writer ${index}\n`.repeat(5000));
  await Promise.all(texts.map((text) => writeRaw(path, text)));
  await receiver.settle();
  const kept = texts.map((_, index) => sink.bytes({ writer: index + 1 }).toString());
  expect(kept.sort()).toEqual(texts.sort());
});

test('what was written by somebody who has gone is there once it has settled, without any pause', async () => {
  const { path, sink, receiver } = await openReceiver();
  // Nobody has accepted these yet: the event loop has had no turn.
  const sockets = Array.from({ length: 30 }, () => connect(path));
  for (const socket of sockets) socket.end('last words');
  await receiver.settle();
  expect(sink.bytes().toString()).toBe('last words'.repeat(30));
});

test('a writer that never stops does not keep it from settling', async () => {
  const { path, sink, receiver } = await openReceiver();
  const socket = await connected(path);
  const chunk = Buffer.alloc(65_536, 'y');
  const goOn = (): void => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on('drain', goOn).on('error', () => {}); // cut off by the end of the test
  goOn();
  await sink.until(() => sink.arrivals.length > 0);
  await receiver.settle();
  socket.destroy();
});

test('a sink that is full makes programs wait, and nothing is lost', async () => {
  const { path, sink, receiver } = await openReceiver();
  sink.fill();
  const socket = await connected(path);
  const bytes = Buffer.alloc(8 * 1024 * 1024, 'z');
  socket.end(bytes);
  await sink.until(() => sink.arrivals.length > 0);
  const settled = receiver.settle();
  expect(sink.bytes().length).toBeLessThan(1024 * 1024);
  sink.drain();
  await settled;
  await sink.until(() => sink.bytes().length === bytes.length);
  expect(sink.gaps).toEqual([]);
});

test('once disposed it takes no writer, and is disposed again without harm', async () => {
  const { path, receiver } = await openReceiver();
  await receiver[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  const [error] = (await once(connect(path), 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ENOENT');
});
