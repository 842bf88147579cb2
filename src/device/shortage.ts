/** What keeps a request waiting, for people. */

import { RigError } from '../base/errors.ts';
import type { Acquisition, Sight } from './acquire.ts';
import { describeEstimate, estimateMs, type Prospect } from './history.ts';
import { describeHolder } from './look.ts';
import type { RigState } from './state.ts';
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
export function describeShortage(acquisition: Acquisition, sights: readonly Sight[]): string {
  const { wants } = acquisition.wanted;
  const isFree = (device: Sight['device']): boolean =>
    sights.some((sight) => sight.device === device && sight.view.state === 'free') &&
    !acquisition.obstacleOf(device);
  const unserved = wants.length > 1 ? unservedWants(wants, isFree) : wants;
  const lacking = unserved.length > 0 ? unserved : wants;
  const told = new Set<string>();
  for (const { devices } of lacking) {
    const concerned = sights.filter(({ device }) => devices.includes(device));
    for (const { device, view } of concerned.slice(0, MAX_SHOWN)) {
      told.add(describeSight(device, acquisition.obstacleOf(device), view));
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
    return prospects.length > 0 ? estimateMs(prospects, position) : undefined;
  });
  const known = estimates.filter((ms) => ms !== undefined);
  return known.length < estimates.length ? '' : `; ${describeEstimate(Math.max(...known))}`;
}

/** Undefined for a device of which nobody can say when it comes free. */
function prospectOf({ device, view }: Sight, state: RigState): Prospect | undefined {
  const leases = state.devices.get(device.name)?.leases ?? [];
  if (view.state === 'free') return { leases, heldForMs: Number.POSITIVE_INFINITY };
  if (view.state !== 'held' || !view.record) return undefined;
  return { leases, heldForMs: Math.max(0, Date.now() - view.record.sinceMs) };
}

/** @returns blame `busy` */
export function nothingFree(acquisition: Acquisition, sights: readonly Sight[], after: string): RigError {
  const what = describeWants(acquisition.wanted.wants);
  return new RigError('busy', `no free ${what}${after}: ${describeShortage(acquisition, sights)}`);
}

function describeSight(
  device: Sight['device'],
  obstacle: Sight['view'] | undefined,
  view: Sight['view'],
): string {
  if (view.state !== 'free') return describeHolder(device, view);
  return obstacle ? describeHolder(device, obstacle) : `${device.name} is free, for those who came before`;
}
