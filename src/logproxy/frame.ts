/** How our own commands write to a log proxy; docs/logproxy.md is the specification. */

import type { Direction, LogBytes, LogGap } from '../wire/log.ts';
import type { ByteBatch } from './byte-batch.ts';

/** The first bytes of a connection that is framed; any other beginning makes it raw. */
export const FRAME_OPENING = Buffer.from('\0sai1\n', 'latin1');

/** Longest payload of one frame; longer bytes are sent as several. */
export const MAX_PAYLOAD_BYTES = 65_536;

/** u32 length of what follows, u8 kind, u64 monotonic nanoseconds; little-endian. */
const FRAME_HEADER_BYTES = 13;
const LENGTH_BYTES = 4;
const GAP_PAYLOAD_BYTES = 8;

/** In frames and in the records of a file. */
const KIND = { bytesIn: 0, bytesOut: 1, gapIn: 2, gapOut: 3, end: 4 } as const;

/** What a frame says. `end` is a writer's farewell: without one it was cut off. */
export type Frame = LogBytes | LogGap | { readonly kind: 'end' };

export function kindOf(frame: Frame): number {
  if (frame.kind === 'end') return KIND.end;
  if (frame.kind === 'gap') return frame.direction === 'in' ? KIND.gapIn : KIND.gapOut;
  return frame.direction === 'in' ? KIND.bytesIn : KIND.bytesOut;
}

/** Length of what {@link writePayload} writes. */
export function payloadLength(frame: Frame): number {
  if (frame.kind === 'end') return 0;
  return frame.kind === 'gap' ? GAP_PAYLOAD_BYTES : frame.bytes.length;
}

export function writePayload(place: Buffer, frame: Frame): void {
  if (frame.kind === 'bytes') place.set(frame.bytes);
  else if (frame.kind === 'gap') place.writeBigUInt64LE(BigInt(frame.lostBytes));
}

/** Undefined for what no writer of ours writes. `payload` is kept, not copied. */
export function parsePayload(kind: number, payload: Buffer): Frame | undefined {
  const direction: Direction = kind === KIND.bytesIn || kind === KIND.gapIn ? 'in' : 'out';
  switch (kind) {
    case KIND.bytesIn:
    case KIND.bytesOut:
      return payload.length > 0 ? { kind: 'bytes', direction, bytes: payload } : undefined;
    case KIND.gapIn:
    case KIND.gapOut:
      return parseGap(direction, payload);
    case KIND.end:
      return payload.length === 0 ? { kind: 'end' } : undefined;
    default:
      return undefined;
  }
}

function parseGap(direction: Direction, payload: Buffer): LogGap | undefined {
  if (payload.length !== GAP_PAYLOAD_BYTES) return undefined;
  const lostBytes = Number(payload.readBigUInt64LE());
  return Number.isSafeInteger(lostBytes) ? { kind: 'gap', direction, lostBytes } : undefined;
}

/** Appends one frame. Bytes are at most {@link MAX_PAYLOAD_BYTES}. */
export function appendFrame(batch: ByteBatch, frame: Frame, monotonicNs: bigint): void {
  const length = payloadLength(frame);
  const place = batch.reserve(FRAME_HEADER_BYTES + length);
  place.writeUInt32LE(FRAME_HEADER_BYTES - LENGTH_BYTES + length);
  place[LENGTH_BYTES] = kindOf(frame);
  place.writeBigUInt64LE(monotonicNs, LENGTH_BYTES + 1);
  writePayload(place.subarray(FRAME_HEADER_BYTES), frame);
}

/** What a {@link FrameDecoder} finds in a connection's bytes. */
export interface FrameListener {
  frame(frame: Frame, monotonicNs: bigint): void;
  /** What follows is no frame: `rest` and everything after it is for the listener to keep as it stands. */
  broken(rest: Buffer): void;
}

/** Cuts a framed connection into frames. Holds at most one frame; trusts no length. */
export class FrameDecoder {
  readonly #listener: FrameListener;
  #pending: Buffer = Buffer.alloc(0);

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** `chunk` belongs to the decoder from now on. */
  push(chunk: Buffer): void {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = Buffer.alloc(0);
    while (rest.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + rest.readUInt32LE();
      if (end < FRAME_HEADER_BYTES || end > FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES) {
        this.#listener.broken(rest);
        return;
      }
      if (rest.length < end) break;
      const frame = parsePayload(rest[LENGTH_BYTES] ?? -1, rest.subarray(FRAME_HEADER_BYTES, end));
      if (!frame) {
        this.#listener.broken(rest);
        return;
      }
      const monotonicNs = rest.readBigUInt64LE(LENGTH_BYTES + 1);
      rest = rest.subarray(end);
      this.#listener.frame(frame, monotonicNs);
    }
    this.#pending = rest;
  }

  /** The connection is over: what has come of a frame that was cut is told, and what is missing as a gap. */
  end(): void {
    const cut = this.#pending;
    this.#pending = Buffer.alloc(0);
    const kind = cut[LENGTH_BYTES];
    if (cut.length < FRAME_HEADER_BYTES || (kind !== KIND.bytesIn && kind !== KIND.bytesOut)) return;
    const direction = kind === KIND.bytesIn ? 'in' : 'out';
    const monotonicNs = cut.readBigUInt64LE(LENGTH_BYTES + 1);
    const bytes = cut.subarray(FRAME_HEADER_BYTES);
    if (bytes.length > 0) this.#listener.frame({ kind: 'bytes', direction, bytes }, monotonicNs);
    const lostBytes = LENGTH_BYTES + cut.readUInt32LE() - cut.length;
    this.#listener.frame({ kind: 'gap', direction, lostBytes }, monotonicNs);
  }
}
