import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ChannelLog } from '../../src/logproxy/channel-log.ts';
import { readLogFile } from '../../src/logproxy/log-reader.ts';
import { timeNow } from '../../src/logproxy/sink.ts';
import { CHANNEL, type LogRecord, ttyChannel } from '../../src/wire/log.ts';
import { NO_SMALL_DISK, smallDisk } from '../peers/small-disk.ts';
import { tempFolder } from '../temp-folder.ts';

function openLog(folder: string, onTrouble: (error: unknown) => void = () => {}): ChannelLog {
  return new ChannelLog({ folder, channel: ttyChannel(0), onRecord: () => {}, onTrouble });
}

function bytesIn(text: string | Uint8Array): Parameters<ChannelLog['append']>[0] {
  return { kind: 'bytes', direction: 'in', bytes: Buffer.from(text), writer: 1, ...timeNow() };
}

/** The records of a file, and how many bytes at its end are none. */
function read(path: string): { records: LogRecord[]; torn: number } {
  let torn = 0;
  const records = [...readLogFile(path, (bytes) => (torn = bytes))];
  return { records, torn };
}

function textOf(records: readonly LogRecord[]): string {
  return Buffer.concat(records.flatMap((each) => (each.kind === 'bytes' ? [each.bytes] : []))).toString();
}

test('every arrival becomes a record, as it came and when it came', async () => {
  const folder = tempFolder();
  const log = openLog(folder);
  const arrivals = [
    bytesIn('U-Boot\r\n'),
    { kind: 'bytes', direction: 'out', bytes: Buffer.from('\n'), writer: 2, ...timeNow() } as const,
    { kind: 'gap', direction: 'in', lostBytes: 12, writer: 1, ...timeNow() } as const,
    bytesIn('\0\xff=> '),
  ];
  for (const arrival of arrivals) log.append(arrival);
  await log.close();
  const expected = arrivals.map((arrival, sequence) => ({ ...arrival, channel: 4, sequence }));
  expect(read(join(folder, 'tty0.sailog'))).toEqual({ records: expected, torn: 0 });
  expect(readFileSync(join(folder, 'tty0.log'), 'utf8')).toBe('U-Boot\r\n\0\xff=> ');
  expect(log.totals).toEqual({ bytes: 14, sentBytes: 1, gaps: 1, lostBytes: 12 });
});

test('a channel that said nothing leaves no file', async () => {
  const folder = tempFolder();
  await openLog(folder).close();
  expect(readdirSync(folder)).toEqual([]);
});

test('a source is asked to wait while the disk is behind, and told when it may go on', async () => {
  const log = openLog(tempFolder());
  let asked: 'go on' | 'wait' = 'go on';
  for (let index = 0; index < 40 && asked === 'go on'; index++)
    asked = log.append(bytesIn(Buffer.alloc(65_536)));
  expect(asked).toBe('wait');
  await log.drained();
  await log.close();
});

describe('a file that was cut', () => {
  test('is readable up to the last whole record, wherever the cut is', async () => {
    const folder = tempFolder();
    const log = openLog(folder);
    for (const text of ['one ', 'two ', 'three']) log.append(bytesIn(text));
    await log.close();
    const path = join(folder, 'tty0.sailog');
    const whole = readFileSync(path);
    const ends = [17, 61, 105, 150];
    expect(whole.length).toBe(ends.at(-1));
    for (let length = whole.length; length >= 17; length--) {
      truncateSync(path, length);
      const { records, torn } = read(path);
      const kept = ends.filter((end) => end <= length).length - 1;
      expect(textOf(records)).toBe(['one ', 'two ', 'three'].slice(0, kept).join(''));
      expect(torn).toBe(length - (ends[kept] ?? 0));
    }
    truncateSync(path, 0);
    expect(read(path)).toEqual({ records: [], torn: 0 });
  });

  test('or damaged gives nothing from the damage on', async () => {
    const folder = tempFolder();
    const log = openLog(folder);
    for (const text of ['one ', 'two ', 'three']) log.append(bytesIn(text));
    await log.close();
    const path = join(folder, 'tty0.sailog');
    const whole = readFileSync(path);
    for (let at = 61; at < 105; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 0x40;
      writeFileSync(path, damaged);
      expect(textOf(read(path).records)).toBe('one ');
    }
  });
});

test('a file of somebody else is refused', () => {
  const path = join(tempFolder(), 'notes.sailog');
  writeFileSync(path, 'sai-log 1 4 tty7\nnot ours');
  expect(() => read(path)).toThrow(`${path}: expected a log of sai-logproxy, found another file`);
});

test('records larger than what is read at a time come back whole', async () => {
  const folder = tempFolder();
  const log = openLog(folder);
  const chunks = Array.from({ length: 30 }, (_, index) => Buffer.alloc(100_000 + index, index));
  for (const chunk of chunks) log.append(bytesIn(chunk));
  await log.close();
  const { records, torn } = read(join(folder, 'tty0.sailog'));
  expect(torn).toBe(0);
  const kept = records.flatMap((each) => (each.kind === 'bytes' ? [each.bytes] : []));
  expect(kept.map((bytes) => bytes.length)).toEqual(chunks.map((chunk) => chunk.length));
  expect(Buffer.concat(kept).equals(Buffer.concat(chunks))).toBe(true);
});

describe('a disk that is full', () => {
  const MiB = 1024 * 1024;

  test('makes nobody wait; when there is room again, the gap tells exactly what is missing', async ({
    skip,
  }) => {
    skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
    const folder = smallDisk(8 * MiB);
    const ballast = join(folder, 'ballast');
    writeFileSync(ballast, Buffer.alloc(7 * MiB));
    const troubles: unknown[] = [];
    const entered = withResolvers();
    const log = openLog(folder, (error) => {
      troubles.push(error);
      entered.resolve(undefined);
    });
    let sentBytes = 0;
    const send = (): void => {
      const chunk = Buffer.alloc(60_000, sentBytes % 251);
      log.append(bytesIn(chunk));
      sentBytes += chunk.length;
    };
    for (let index = 0; index < 20; index++) send();
    await entered.promise;
    await log.drained();
    for (let index = 0; index < 60; index++) send();
    rmSync(ballast);
    await log.close();
    const { records, torn } = read(join(folder, 'tty0.sailog'));
    const lost = records.flatMap((each) => (each.kind === 'gap' ? [each.lostBytes] : []));
    expect(troubles).toHaveLength(1);
    expect({ torn, gaps: lost.length, incomplete: log.isIncomplete }).toEqual({
      torn: 0,
      gaps: 1,
      incomplete: false,
    });
    expect(textOf(records).length + (lost[0] ?? 0)).toBe(sentBytes);
    expect(readFileSync(join(folder, 'tty0.log')).length).toBe(textOf(records).length);
  });

  test('for good leaves files that are readable, and a log that knows it is incomplete', async ({ skip }) => {
    skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
    const folder = smallDisk(MiB);
    const log = openLog(folder);
    for (let index = 0; index < 100; index++) log.append(bytesIn(Buffer.alloc(60_000, index)));
    await log.close();
    expect(log.isIncomplete).toBe(true);
    const { records } = read(join(folder, 'tty0.sailog'));
    expect(records.length).toBeGreaterThan(0);
    expect(records.every((each, sequence) => each.sequence === sequence)).toBe(true);
  });
});

function withResolvers(): { promise: Promise<unknown>; resolve: (value: unknown) => void } {
  let resolve: (value: unknown) => void = () => {};
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

test('the control channel is named, not numbered', async () => {
  const folder = tempFolder();
  const log = new ChannelLog({ folder, channel: CHANNEL.control, onRecord: () => {}, onTrouble: () => {} });
  log.append(bytesIn('sai-expect: starting\n'));
  await log.close();
  expect(existsSync(join(folder, 'control.log'))).toBe(true);
  expect(read(join(folder, 'control.sailog')).records).toHaveLength(1);
});
