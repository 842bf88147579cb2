import type { Match } from './matcher.ts';

/** What an armed pattern has found. */
export interface ArmedMatch {
  readonly kind: 'fail' | 'pass';
  readonly match: Match;
}

/** Decided at the same byte, the one that ends first counts, and a fail before a pass. */
export function firstArmed(fail: Match | undefined, pass: Match | undefined): ArmedMatch | undefined {
  const isFail = fail && (!pass || (fail.decidedAt - pass.decidedAt || fail.end - pass.end) <= 0);
  if (isFail) return { kind: 'fail', match: fail };
  return pass && { kind: 'pass', match: pass };
}
