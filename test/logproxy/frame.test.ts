import { describe, expect, test } from 'vitest';
import { ByteBatch } from '../../src/logproxy/byte-batch.ts';
import { appendFrame, type Frame, FrameDecoder, MAX_PAYLOAD_BYTES } from '../../src/logproxy/frame.ts';

/** What a decoder told, in order: frames with their times, and what it gave up on. */
function decode(chunks: readonly Buffer[]): unknown[] {
  const told: unknown[] = [];
  const decoder = new FrameDecoder({
    frame: (frame, monotonicNs) => told.push({ ...plain(frame), monotonicNs }),
    broken: (rest) => told.push({ broken: rest.toString('latin1') }),
  });
  for (const chunk of chunks) decoder.push(Buffer.from(chunk));
  decoder.end();
  return told;
}

function plain(frame: Frame): object {
  return frame.kind === 'bytes' ? { ...frame, bytes: Buffer.from(frame.bytes).toString('latin1') } : frame;
}

function encode(...frames: readonly Frame[]): Buffer {
  const batch = new ByteBatch();
  for (const [index, frame] of frames.entries()) appendFrame(batch, frame, BigInt(index + 1));
  return Buffer.from(batch.take());
}

const FRAMES: readonly Frame[] = [
  { kind: 'bytes', direction: 'in', bytes: Buffer.from('U-Boot\r\n\0\xff', 'latin1') },
  { kind: 'gap', direction: 'in', lostBytes: 2 ** 40 + 3 },
  { kind: 'bytes', direction: 'out', bytes: Buffer.alloc(MAX_PAYLOAD_BYTES, 'x') },
  { kind: 'gap', direction: 'out', lostBytes: 1 },
  { kind: 'end' },
];

const CHUNKINGS: Record<string, (bytes: Buffer) => Buffer[]> = {
  'whole chunks': (bytes) => [bytes],
  'one byte at a time': (bytes) => [...bytes].map((byte) => Buffer.of(byte)),
  'pieces of seven': (bytes) =>
    Array.from({ length: Math.ceil(bytes.length / 7) }, (_, index) =>
      bytes.subarray(7 * index, 7 * index + 7),
    ),
};

describe.each(Object.entries(CHUNKINGS))('frames in %s', (_name, chunked) => {
  test('come out as they went in', () => {
    expect(decode(chunked(encode(...FRAMES)))).toEqual(
      FRAMES.map((frame, index) => ({ ...plain(frame), monotonicNs: BigInt(index + 1) })),
    );
  });

  test('that lie are given up on at that place, with every byte from there on', () => {
    const good = encode({ kind: 'bytes', direction: 'in', bytes: Buffer.from('ok') });
    for (const lie of [
      '\xff\xff\xff\xff rest',
      '\0\0\0\0 rest of it',
      '\x0a\0\0\0\x09........x',
      '\x09\0\0\0\0........',
    ]) {
      const bytes = Buffer.concat([good, Buffer.from(lie, 'latin1')]);
      const told = decodeUntilBroken(chunked(bytes));
      expect(told.frames).toEqual(['ok']);
      expect(told.rest.toString('latin1')).toBe(lie);
    }
  });
});

/** As a receiver does it: once broken, the rest is no longer the decoder's. */
function decodeUntilBroken(chunks: readonly Buffer[]): { frames: string[]; rest: Buffer } {
  const frames: string[] = [];
  const rest: Buffer[] = [];
  const decoder = new FrameDecoder({
    frame: (frame) => frame.kind === 'bytes' && frames.push(Buffer.from(frame.bytes).toString('latin1')),
    broken: (from) => rest.push(from),
  });
  for (const chunk of chunks) {
    if (rest.length > 0) rest.push(chunk);
    else decoder.push(Buffer.from(chunk));
  }
  return { frames, rest: Buffer.concat(rest) };
}

test('a frame that was cut gives what came of it, and the rest as a gap, wherever the cut is', () => {
  const whole = encode({ kind: 'bytes', direction: 'out', bytes: Buffer.from('abcdef') });
  for (let length = 0; length < whole.length; length++) {
    const told = decode([whole.subarray(0, length)]);
    const came = Math.max(0, length - 13);
    const bytes = { kind: 'bytes', direction: 'out', bytes: 'abcdef'.slice(0, came), monotonicNs: 1n };
    const gap = { kind: 'gap', direction: 'out', lostBytes: 6 - came, monotonicNs: 1n };
    expect(told).toEqual(length < 13 ? [] : came === 0 ? [gap] : [bytes, gap]);
  }
});
