/**
 * The socket by which a virtual board's lines are driven and watched from outside, as a GPIO chip would be.
 *
 * One JSON object a line, both ways, over a Unix stream socket. A client requests lines, holds them for as long
 * as it is connected, and lets go of them by `release` or by disconnecting, also by being killed: the line then
 * has the level that the board's own resistor gives it. Levels are electrical, 0 or 1: `activeLow` belongs to
 * whoever requests the line. Every request is answered once, in order, with its `id`; one longer than 16 KiB is
 * answered with EINVAL, and ends the connection.
 */

import * as v from 'valibot';

const Id = v.pipe(v.number(), v.integer());
const LineName = v.string();

/** Electrical level of a line. */
export const Level = v.picklist([0, 1]);
export type Level = v.InferOutput<typeof Level>;

const Levels = v.record(LineName, Level);

/** What a holder does to a line: drives it, or holds it without driving it. */
export const Drive = v.picklist([0, 1, 'released']);
export type Drive = v.InferOutput<typeof Drive>;

const Drives = v.record(LineName, Drive);

/** Takes the board's cable out or puts it back, and its power. */
export const BoardAction = v.picklist(['unplug', 'plug', 'power-on', 'power-off']);
export type BoardAction = v.InferOutput<typeof BoardAction>;

export const SimChipRequest = v.variant('op', [
  /** What lines there are. Answered with `lines`. */
  v.strictObject({ op: v.literal('info'), id: Id }),
  /** Takes lines as outputs at these levels, in one step and without a glitch; all or none. */
  v.strictObject({ op: v.literal('request'), id: Id, consumer: v.string(), outputs: Drives }),
  /** Changes what this connection does to lines that it holds. */
  v.strictObject({ op: v.literal('set'), id: Id, levels: Drives }),
  /** Answered with `levels`: what the lines carry now, whoever drives them. */
  v.strictObject({ op: v.literal('get'), id: Id, lines: v.array(LineName) }),
  /** From now on every change of these lines is sent as a {@link SimChipEvent}. */
  v.strictObject({ op: v.literal('watch'), id: Id, lines: v.array(LineName) }),
  v.strictObject({ op: v.literal('release'), id: Id, lines: v.array(LineName) }),
  /** What a hand does to the whole board. Answered once it has happened. */
  v.strictObject({ op: v.literal('board'), id: Id, action: BoardAction }),
]);
export type SimChipRequest = v.InferOutput<typeof SimChipRequest>;

export const LineInfo = v.strictObject({
  name: LineName,
  offset: v.pipe(v.number(), v.integer()),
  /** Seen from outside: `input` lines are driven by whoever requests them, `output` lines by the firmware. */
  direction: v.picklist(['input', 'output']),
  /** Who holds it now. */
  consumer: v.nullable(v.string()),
  level: Level,
});
export type LineInfo = v.InferOutput<typeof LineInfo>;

export const SimChipErrorCode = v.picklist(['EBUSY', 'EINVAL', 'EIO', 'ENOENT', 'EPERM']);
export type SimChipErrorCode = v.InferOutput<typeof SimChipErrorCode>;

export const SimChipReply = v.union([
  v.strictObject({
    id: Id,
    ok: v.literal(true),
    chip: v.exactOptional(v.string()),
    lines: v.exactOptional(v.array(LineInfo)),
    levels: v.exactOptional(Levels),
  }),
  v.strictObject({
    id: v.nullable(Id),
    ok: v.literal(false),
    /** As the kernel's GPIO character device would answer; `EIO` when the board itself does not do as it is told. */
    code: SimChipErrorCode,
    message: v.string(),
  }),
]);
export type SimChipReply = v.InferOutput<typeof SimChipReply>;

export const SimChipEvent = v.strictObject({
  event: v.literal('edge'),
  line: LineName,
  level: Level,
  /** Milliseconds of CLOCK_MONOTONIC at which the board saw it. */
  monotonicMs: v.number(),
  /** Changes that are not told before this one, because the client did not read. */
  lost: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
});
export type SimChipEvent = v.InferOutput<typeof SimChipEvent>;
