/** What the lab and a chip's own process say to each other: one JSON object a line, over a socket pair. */

import * as v from 'valibot';
import { ByteLines } from '../base/byte-lines.ts';
import { parse } from '../base/validate.ts';
import { Level } from '../wire/sim-chip.ts';

/** The descriptor on which a chip's process finds its end of the socket pair. */
export const CHIP_LINK_FD = 3;

/** A slice of USART output is far shorter; the lab's own chunks are cut to fit. */
const MAX_LINE_BYTES = 256 * 1024;

const Base64 = v.pipe(v.string(), v.base64());
const PowerState = v.picklist(['on', 'off']);

export const ToChip = v.variant('op', [
  v.strictObject({ op: v.literal('usart'), data: Base64 }),
  v.strictObject({ op: v.literal('line'), line: v.picklist(['reset', 'button']), level: Level }),
  /** Answered with a `power` event once it has happened. */
  v.strictObject({ op: v.literal('power'), state: PowerState }),
]);
export type ToChip = v.InferOutput<typeof ToChip>;

export const FromChip = v.variant('event', [
  /** The firmware is loaded and runs. */
  v.strictObject({ event: v.literal('ready') }),
  v.strictObject({
    event: v.literal('usart'),
    data: Base64,
    /** Bytes lost before these, because the lab did not read. */
    lost: v.pipe(v.number(), v.integer(), v.minValue(0)),
  }),
  /** So many bytes of `usart` operations are on the wire or past it: the lab may send as many more. */
  v.strictObject({ event: v.literal('taken'), bytes: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
  v.strictObject({
    event: v.literal('edge'),
    line: v.picklist(['reset', 'button', 'led']),
    level: Level,
    /** Milliseconds of CLOCK_MONOTONIC. */
    monotonicMs: v.number(),
  }),
  v.strictObject({ event: v.literal('power'), state: PowerState }),
]);
export type FromChip = v.InferOutput<typeof FromChip>;

/** One message as it goes over the link. */
export function encodeMessage(message: ToChip | FromChip): string {
  return `${JSON.stringify(message)}\n`;
}

/** Turns chunks of the link into messages. @throws {RigError} blame `protocol` */
export function messageReader<const S extends v.GenericSchema>(
  schema: S,
): (chunk: Uint8Array) => v.InferOutput<S>[] {
  const lines = new ByteLines(MAX_LINE_BYTES);
  return (chunk) => lines.push(chunk).map((line) => parse(schema, JSON.parse(line), 'chip link', 'protocol'));
}
