/** Checks what a program passes: a misspelt time-out would wait as long as ever, and nobody would know why. */

import * as v from 'valibot';
import { parse } from '../base/validate.ts';

/** Numbers are looked at where they are used. */
const anyNumber = v.custom<number>((value) => typeof value === 'number', 'expected a number');
const aFunction = v.custom<() => void>((value) => typeof value === 'function', 'expected a function');
const anObject = v.custom<object>(
  (value) => typeof value === 'object' && value !== null,
  'expected an object',
);
/** By its shape: that of another realm, as in jsdom, is one too. */
const aSignal = v.custom<AbortSignal>(
  (value) => typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value,
  'expected an AbortSignal',
);

const Pause = v.strictObject({ signal: v.optional(aSignal) });
const Wait = v.strictObject({ ...Pause.entries, timeoutMs: v.optional(anyNumber) });
const Lines = v.strictObject({ ...Wait.entries, maxBytes: v.optional(anyNumber) });
const State = v.optional(v.picklist(['on', 'off']));
const Drive = v.strictObject({ dtr: State, rts: State });
const Open = v.strictObject({
  ...Wait.entries,
  baudRate: v.optional(anyNumber),
  format: v.optional(v.string()),
  flow: v.optional(v.picklist(['none', 'rtscts', 'xonxoff'])),
  follow: v.optional(v.picklist(['as leased', 'never'])),
  lineEnd: v.optional(v.string()),
  pass: v.optional(v.array(v.unknown())),
  fail: v.optional(v.array(v.unknown())),
  crash: v.optional(v.picklist(['auto', 'none'])),
  escapeSequences: v.optional(v.picklist(['seen', 'ignored'])),
  onWait: v.optional(aFunction),
  onRemark: v.optional(aFunction),
  env: v.optional(anObject),
});

const OPTIONS = { open: Open, wait: Wait, pause: Pause, lines: Lines, drive: Drive } as const;

/** @throws {RigError} blame `usage`, beginning with `call`, for keys that there are not and values that cannot be */
export function checkOptions(kind: keyof typeof OPTIONS, options: object, call: string): void {
  parse<v.GenericSchema>(OPTIONS[kind], options, call, 'usage');
}
