/** What a program asks `acquire` for. */

import * as v from 'valibot';
import { LONGEST_MS } from '../base/duration.ts';
import { parse } from '../base/validate.ts';
import { isPriority } from './order.ts';

/** What is asked for. */
export interface DeviceRequest {
  /** A device's type, its name, or any word it is compatible with. */
  readonly type: string;
  readonly name?: string;
  /** Only devices that have all of them. */
  readonly tags?: readonly string[];
  /**
   * Types of further devices, all taken together with the first or none, each by a role of your own, such as
   * `{ peer: 'nrf52' }`: as `--and peer=nrf52`. `name` and `tags` speak of the first alone.
   */
  readonly and?: Readonly<Record<string, string>>;
  /** Path of the devices config; else `$SAI_DEVICES_CONF`, else `/etc/sai/devices/conf`. */
  readonly config?: string;
  /** 0–9: who asks with more is served first, and each ten minutes of waiting add one; else 5. */
  readonly priority?: number;
  /** Longest wait: 0 tries once, `Infinity` waits for ever; else as the devices say, else two hours. */
  readonly waitMs?: number;
  /** Longest time that the lease may last: then it is `lost`; else as the device says, else eight hours. */
  readonly maxLeaseMs?: number;
  /** What others who wait are told; else the command line of this process. */
  readonly purpose?: string;
}

const Text = v.pipe(v.string(), v.minLength(1, 'expected a text that is not empty'));

/** A timer of NaN, or of more than it can wait, would fire at once. */
const Milliseconds = v.custom<number>(
  (ms) => typeof ms === 'number' && (ms === Number.POSITIVE_INFINITY || (ms >= 0 && ms <= LONGEST_MS)),
  `expected 0 to ${LONGEST_MS} or Infinity`,
);

const Request = v.strictObject({
  type: Text,
  name: v.optional(Text),
  tags: v.optional(v.array(Text)),
  and: v.optional(v.record(v.string(), v.string())),
  config: v.optional(v.string()),
  priority: v.optional(
    v.custom<number>(
      (value) => typeof value === 'number' && isPriority(value),
      'expected a whole number from 0 to 9',
    ),
  ),
  waitMs: v.optional(Milliseconds),
  maxLeaseMs: v.optional(Milliseconds),
  purpose: v.optional(v.string()),
});

const Options = v.strictObject({
  signal: v.optional(
    v.custom<AbortSignal>(
      (value) =>
        typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value,
      'expected an AbortSignal',
    ),
  ),
  onWait: v.optional(v.custom<() => void>((value) => typeof value === 'function', 'expected a function')),
  env: v.optional(
    v.custom<object>((value) => typeof value === 'object' && value !== null, 'expected an object'),
  ),
});

/** What goes with a request. @throws {RigError} blame `usage` for keys that there are not */
export function checkAcquireOptions(options: object): void {
  parse<v.GenericSchema>(Options, options, 'acquire', 'usage');
}

/** @throws {RigError} blame `usage` for what is no request, and for keys that none has */
export function checkRequest(request: DeviceRequest): void {
  parse(Request, request, 'acquire', 'usage');
}
