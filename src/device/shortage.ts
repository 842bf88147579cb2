/** What keeps a request waiting, for people. */

import { RigError } from '../base/errors.ts';
import type { Acquisition, Sight } from './acquire.ts';
import { describeEstimate, type Estimate, estimate, type Prospect } from './history.ts';
import { describeHolder, stoppedGuardIn } from './look.ts';
import type { RigState } from './state.ts';
import { claimsAny, type Ticket } from './ticket.ts';
import { describeWants, unservedWants, type Want } from './want.ts';

/** Of one want; the rest are counted. */
const MAX_SHOWN = 3;

/** @throws {RigError} blame `hardware`, or `config`, when a want cannot be served, however long one waits */
export function refuseUnusable(wants: readonly Want[], sights: readonly Sight[]): void {
  const isThere = (device: Sight['device']): boolean =>
    sights.some((sight) => sight.device === device && sight.view.state !== 'missing');
  const [unserved] = unservedWants(wants, isThere);
  if (!unserved) return;
  const missing = sights
    .filter(({ device }) => unserved.devices.includes(device))
    .flatMap(({ device, view }) =>
      view.state === 'missing'
        ? [{ blame: view.problem.blame, text: `${device.name}: ${view.problem.text}` }]
        : [],
    );
  const [first] = missing;
  if (first === undefined) return;
  const others = missing.length > 1 ? ` (and ${missing.length - 1} more of type ${unserved.type} alike)` : '';
  throw new RigError(first.blame, `${first.text}${others}`);
}

/** `uno1 is held by pid 812 (…) of ann since 12:03:04; uno2 …`, of every want that lacks a device. */
export function describeShortage(
  acquisition: Acquisition,
  sights: readonly Sight[],
  inFront: readonly Ticket[],
): string {
  const { wants } = acquisition.wanted;
  const isFree = (device: Sight['device']): boolean =>
    sights.some((sight) => sight.device === device && sight.view.state === 'free') &&
    !acquisition.obstacleOf(device);
  const unserved = wants.length > 1 ? unservedWants(wants, isFree) : wants;
  const lacking = unserved.length > 0 ? unserved : wants;
  const told = new Set<string>();
  for (const { devices } of lacking) {
    const concerned = sights.filter(({ device }) => devices.includes(device));
    for (const sight of concerned.slice(0, MAX_SHOWN)) {
      told.add(describeSight(sight, acquisition.obstacleOf(sight.device), inFront));
    }
    if (concerned.length > MAX_SHOWN) told.add(`${concerned.length - MAX_SHOWN} more`);
  }
  return [...told].join('; ');
}

/**
 * `; free in about 3 min` for the waiter at `position`, when the last of its devices may come; empty when nothing is
 * known that a guess could rest on.
 */
export function describeWait(acquisition: Acquisition, sights: readonly Sight[], position: number): string {
  const estimates = acquisition.wanted.wants.map(({ devices }) => {
    const prospects = sights
      .filter(({ device }) => devices.includes(device))
      .map((sight) => prospectOf(sight, acquisition.state))
      .filter((each) => each !== undefined);
    return prospects.length > 0 ? estimate(prospects, position) : undefined;
  });
  const last = estimates.reduce((a, b) => (a && b ? laterOf(a, b) : undefined));
  return last ? `; ${describeEstimate(last)}` : '';
}

function laterOf(a: Estimate, b: Estimate): Estimate {
  return b.freeInMs > a.freeInMs || (b.freeInMs === a.freeInMs && b.isOverdue) ? b : a;
}

/** Undefined for a device of which nobody can say when it comes free. */
function prospectOf({ device, view }: Sight, state: RigState): Prospect | undefined {
  const leases = state.devices.get(device.name)?.leases ?? [];
  if (view.state === 'free') return { leases, heldForMs: Number.POSITIVE_INFINITY };
  if (view.state !== 'held' || !view.record) return undefined;
  if (stoppedGuardIn(view.record) !== undefined) return undefined; // until somebody continues it
  return { leases, heldForMs: Math.max(0, Date.now() - view.record.sinceMs) };
}

/** @returns blame `busy` */
export function nothingFree(
  acquisition: Acquisition,
  { sights, inFront, after }: { sights: readonly Sight[]; inFront: readonly Ticket[]; after: string },
): RigError {
  const what = describeWants(acquisition.wanted.wants);
  return new RigError('busy', `no free ${what}${after}: ${describeShortage(acquisition, sights, inFront)}`);
}

function describeSight(
  { device, view, claims }: Sight,
  obstacle: Sight['view'] | undefined,
  inFront: readonly Ticket[],
): string {
  if (view.state !== 'free' || !obstacle) {
    const isPromised = view.state === 'free' && inFront.some((ticket) => claimsAny(ticket, claims));
    return `${describeHolder(device, view)}${isPromised ? ', for those who came before' : ''}`;
  }
  return describeHolder(device, obstacle);
}
