import { RigError } from './errors.ts';

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Longest time that a timer can wait: past this, `setTimeout` fires at once. Source: Node.js timers documentation. */
export const LONGEST_MS = 2 ** 31 - 1;

/**
 * Milliseconds of a duration with a unit: `300ms`, `2s`, `1.5m`, `8h`.
 *
 * @throws {RigError} blame `usage`, naming `what`, when there is no unit or it is over 24 days
 */
export function parseDurationMs(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim());
  const ms = match ? Number(match[1]) * (MS_PER_UNIT[match[2] ?? ''] ?? Number.NaN) : Number.NaN;
  if (!(ms <= LONGEST_MS)) {
    const unit = /^\s*\d+(?:\.\d+)?\s*$/.test(text) ? ', with its unit' : '';
    const limit = match
      ? `at most ${formatDuration(LONGEST_MS)}`
      : `a duration such as 300ms, 2s, 5m or 8h${unit}`;
    throw new RigError('usage', `${what}: expected ${limit}, got ${JSON.stringify(text)}`);
  }
  return Math.round(ms);
}

/** A duration as people say it: `250 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (ms < 10_000 && ms % 1000 !== 0) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}
