/** How long leases lasted, and what follows from that for who waits. */

import { formatDuration } from '../base/duration.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import type { RunDir } from './run-dir.ts';
import { changeState, type DeviceState } from './state.ts';

/** Enough for a median that follows what a lab does this week. */
const MAX_LEASES = 20;

/** The command has ended, and whoever started it waits: history is not worth more. */
const PATIENCE_MS = 500;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Keeps that a lease has ended just now. @throws {RigError} blame `unavailable` when it cannot be written */
export async function rememberLease(
  runDir: RunDir,
  { devices, sinceMs, fence }: Pick<LeaseRecord, 'devices' | 'sinceMs' | 'fence'>,
): Promise<void> {
  const durationMs = Math.max(0, Date.now() - sinceMs); // the clock may have been set back
  const remember = (before: DeviceState): DeviceState => ({
    ...before,
    fence: Math.max(before.fence, fence),
    leases: [...before.leases, { durationMs, fence }].slice(-MAX_LEASES),
  });
  for (const { name } of devices) await changeState(runDir, name, remember, { patienceMs: PATIENCE_MS });
}

/** One of the devices that would do, as far as guessing goes. */
export interface Prospect {
  readonly leases: DeviceState['leases'];
  /** How long the present lease has been running; `Infinity` for a device that is free, for those in front. */
  readonly heldForMs: number;
}

/** When a device may come free, from now. */
export interface Estimate {
  readonly freeInMs: number;
  /** The present lease has lasted longer already than such leases do: nobody knows. */
  readonly isOverdue: boolean;
  /** How long such leases last. */
  readonly usualMs: number;
}

/**
 * When the device for the waiter at `position` (1 is next) may come free, from now: each lease is taken to last as
 * long as the median of the last ones, and each waiter in front to take what comes free first.
 * Undefined without history.
 */
export function estimate(prospects: readonly Prospect[], position: number): Estimate | undefined {
  const medianMs = medianOf(prospects.flatMap(({ leases }) => leases.map((each) => each.durationMs)));
  if (medianMs === undefined) return undefined;
  const freeInMs = prospects.map(({ heldForMs }) => Math.max(0, medianMs - heldForMs));
  const nextFree = (): number => freeInMs.indexOf(Math.min(...freeInMs));
  for (let inFront = 1; inFront < position; inFront++) {
    const index = nextFree();
    freeInMs[index] = (freeInMs[index] ?? 0) + medianMs;
  }
  const next = nextFree();
  const heldForMs = prospects[next]?.heldForMs ?? 0;
  const isOverdue = Number.isFinite(heldForMs) && heldForMs > medianMs;
  return { freeInMs: freeInMs[next] ?? 0, isOverdue, usualMs: medianMs };
}

/** `free in about 3 min`, `later than usual: leases last about 3 min`: as exact as a guess is. */
export function describeEstimate({ freeInMs, isOverdue, usualMs }: Estimate): string {
  if (isOverdue) return `later than usual: leases last about ${roughly(usualMs)}`;
  return freeInMs < 1000 ? 'free any moment' : `free in about ${roughly(freeInMs)}`;
}

function roughly(ms: number): string {
  const unitMs = ms < 1000 ? 1000 : ms < MINUTE_MS ? 5000 : ms < HOUR_MS ? MINUTE_MS : 10 * MINUTE_MS;
  return formatDuration(Math.max(1, Math.ceil(ms / unitMs)) * unitMs);
}

function medianOf(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}
