/** How long things may take that a program asks for. */

import { LONGEST_MS } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';

/** How long a wait may last. */
export interface Limits {
  /** `Infinity` for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws {RigError} blame `usage` for what no timer can wait: past that, Node.js fires at once */
export function checkMs(ms: number, what: string, may: 'be Infinity' | 'end only'): number {
  if ((ms >= 0 && ms <= LONGEST_MS) || (ms === Number.POSITIVE_INFINITY && may === 'be Infinity')) return ms;
  const orInfinity = may === 'be Infinity' ? ' or Infinity' : '';
  throw new RigError(
    'usage',
    `${what}: expected milliseconds from 0 to ${LONGEST_MS}${orInfinity}, got ${String(ms)}`,
  );
}

/** @throws {RigError} blame `usage` */
export function checkCount(count: number, what: string): number {
  if (Number.isInteger(count) && count > 0 && count < 2 ** 32) return count;
  throw new RigError('usage', `${what}: expected a positive whole number, got ${String(count)}`);
}
