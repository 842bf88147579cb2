/** The stamped file of one channel; docs/logproxy.md is the specification. */

import { crc32 } from 'node:zlib';
import type { LogRecord } from '../wire/log.ts';
import type { ByteBatch } from './byte-batch.ts';
import { kindOf, parsePayload, payloadLength, writePayload } from './frame.ts';

/** Written once a run, beside the channels; what makes a folder one of ours. */
export const RUN_FILE = 'run.json';

/** Records with their times; the bytes alone are beside it. */
export const stampedFileName = (channel: string): string => `${channel}.sailog`;
export const plainFileName = (channel: string): string => `${channel}.log`;

/** The first line of the file, for people and for `file(1)`. */
export const fileHeader = (channel: number, name: string): string => `sai-log 1 ${channel} ${name}\n`;

/** Longer than any read: what claims to be longer is no record. */
const MAX_RECORD_PAYLOAD_BYTES = 1024 * 1024;

/** Little-endian: where each field of a record begins. The checksum is over all that follows it. */
const AT = { crc: 0, length: 4, kind: 8, writer: 12, sequence: 16, atMs: 24, monotonicNs: 32 } as const;
const RECORD_HEADER_BYTES = 40;

export function appendRecord(batch: ByteBatch, record: LogRecord): void {
  const length = payloadLength(record);
  const place = batch.reserve(RECORD_HEADER_BYTES + length);
  place.writeUInt32LE(length, AT.length);
  place.writeUInt32LE(kindOf(record), AT.kind);
  place.writeUInt32LE(record.writer, AT.writer);
  place.writeBigUInt64LE(BigInt(record.sequence), AT.sequence);
  place.writeBigUInt64LE(BigInt(record.atMs), AT.atMs);
  place.writeBigUInt64LE(record.monotonicNs, AT.monotonicNs);
  writePayload(place.subarray(RECORD_HEADER_BYTES), record);
  place.writeUInt32LE(crc32(place.subarray(AT.length)), AT.crc);
}

/** `record` and how many bytes it took; `more` when it is not all there; `torn` when it is not one. */
export type ParsedRecord =
  | { readonly kind: 'record'; readonly record: LogRecord; readonly length: number }
  | { readonly kind: 'more' | 'torn' };

/** The record at the beginning of `bytes`, which is expected to have that sequence. Its payload is a view. */
export function parseRecord(bytes: Buffer, channel: number, sequence: number): ParsedRecord {
  if (bytes.length < RECORD_HEADER_BYTES) return { kind: 'more' };
  const payloadBytes = bytes.readUInt32LE(AT.length);
  if (payloadBytes > MAX_RECORD_PAYLOAD_BYTES) return { kind: 'torn' };
  const length = RECORD_HEADER_BYTES + payloadBytes;
  if (bytes.length < length) return { kind: 'more' };
  if (crc32(bytes.subarray(AT.length, length)) !== bytes.readUInt32LE(AT.crc)) return { kind: 'torn' };
  const entry = parsePayload(bytes.readUInt32LE(AT.kind), bytes.subarray(RECORD_HEADER_BYTES, length));
  if (!entry || entry.kind === 'end' || Number(bytes.readBigUInt64LE(AT.sequence)) !== sequence)
    return { kind: 'torn' };
  const record = {
    ...entry,
    channel,
    sequence,
    writer: bytes.readUInt32LE(AT.writer),
    atMs: Number(bytes.readBigUInt64LE(AT.atMs)),
    monotonicNs: bytes.readBigUInt64LE(AT.monotonicNs),
  };
  return { kind: 'record', record, length };
}
