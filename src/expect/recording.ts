/** What a recording holds; docs/expect-results.md is the specification. */

import * as v from 'valibot';
import { formatDuration } from '../base/duration.ts';
import type { Blame } from '../base/errors.ts';
import { EXIT_STATUS } from '../base/exit.ts';
import type { DrivenLines } from '../tty/console.ts';
import { CrashConfig } from '../wire/crash.ts';
import { RunReport } from '../wire/jig.ts';

const Ms = v.pipe(v.number(), v.minValue(0));
const TtyIndex = v.pipe(v.number(), v.integer(), v.minValue(0));

/** The first line. */
export const RecordingHead = v.strictObject({
  format: v.literal('sai-recording'),
  version: v.literal(1),
  /** When it began, in milliseconds since the epoch. */
  startedAtMs: Ms,
  device: v.exactOptional(v.string()),
  ttys: v.pipe(
    v.array(
      v.strictObject({
        label: v.string(),
        path: v.string(),
        baudRate: v.number(),
        /** What else steps may call it: its index and name in the lease. */
        names: v.exactOptional(v.array(v.string())),
        /** What counted as a crash of its device, where the config said so. */
        crash: v.exactOptional(CrashConfig),
      }),
    ),
    v.minLength(1),
  ),
});
export type RecordingHead = v.InferOutput<typeof RecordingHead>;

/** Bytes: as text where they are printable UTF-8, else base64. */
const Payload = { text: v.exactOptional(v.string()), base64: v.exactOptional(v.string()) };
/** Milliseconds since the recording began, by a clock that is never set; three decimals. */
const At = { ms: Ms, tty: TtyIndex };
/** Why something failed, and who has to act. */
const Failure = {
  error: v.exactOptional(v.string()),
  blame: v.exactOptional(v.picklist(Object.keys(EXIT_STATUS) as Blame[])),
};
const Event = v.picklist(['begin', 'end']);

/** Every other line. */
export const RecordingEntry = v.variant('is', [
  /** The tty has been opened, and the steps begin; before, its turn was waited for. */
  v.strictObject({ ...At, is: v.literal('open') }),
  /** What an earlier `sai-expect` of the lease had read and not used; `before` is the byte before it. */
  v.strictObject({ ...At, is: v.literal('early'), before: v.exactOptional(v.number()), ...Payload }),
  v.strictObject({ ...At, is: v.literal('in'), ...Payload }),
  v.strictObject({ ...At, is: v.literal('out'), ...Payload }),
  /** Nothing had come for 50 ms. A gap without one: whoever read was late, and the bytes were there. */
  v.strictObject({ ...At, is: v.literal('quiet') }),
  v.strictObject({
    ...At,
    is: v.literal('jig'),
    sequence: v.string(),
    event: Event,
    /** What the jig told at the end: each line that it changed, and when. */
    report: v.exactOptional(RunReport),
    ...Failure,
  }),
  /** A break as it begins, or what was done to modem lines; with `error`, what could not be done. */
  v.strictObject({ ...At, is: v.literal('line'), what: v.string(), ...Failure }),
  /** A transfer; what is `in` and `out` meanwhile is its own. `failure` is in the words of lrzsz. */
  v.strictObject({
    ...At,
    is: v.literal('file'),
    what: v.string(),
    path: v.string(),
    event: Event,
    /** How many of the last bytes the transfer has left to the next step. */
    leftBytes: v.exactOptional(TtyIndex),
    failure: v.exactOptional(v.string()),
    ...Failure,
  }),
  /** The tty went away, and the session goes on when it is back. */
  v.strictObject({ ...At, is: v.literal('away') }),
  v.strictObject({ ...At, is: v.literal('back') }),
  v.strictObject({ ...At, is: v.literal('gone'), error: v.string() }),
  v.strictObject({ ...At, is: v.literal('end'), verdict: v.string(), error: v.exactOptional(v.string()) }),
]);
export type RecordingEntry = v.InferOutput<typeof RecordingEntry>;

export function payloadOf(bytes: Uint8Array): { text: string } | { base64: string } {
  const text = Buffer.from(bytes).toString('utf8');
  // A replacement character may have been in the bytes, or stand for what is no UTF-8, such as a cut character.
  const isText = Buffer.from(text, 'utf8').equals(Buffer.from(bytes));
  return isText ? { text } : { base64: Buffer.from(bytes).toString('base64') };
}

export function bytesOf({ text, base64 }: { text?: string; base64?: string }): Buffer {
  return base64 === undefined ? Buffer.from(text ?? '', 'utf8') : Buffer.from(base64, 'base64');
}

/** `break 100 ms`. */
export function breakAsText(breakMs: number): string {
  return `break ${formatDuration(breakMs)}`;
}

/** `dtr on, rts off`. */
export function linesAsText(lines: DrivenLines): string {
  return Object.entries(lines)
    .map(([line, state]) => `${line} ${state}`)
    .join(', ');
}
