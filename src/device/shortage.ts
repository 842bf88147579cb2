/** What keeps a request waiting, for people. */

import { RigError } from '../base/errors.ts';
import type { Acquisition, Sight } from './acquire.ts';
import { describeHolder } from './look.ts';
import { describeWants, unservedWants, type Want } from './want.ts';

/** Of one want; the rest are counted. */
const MAX_SHOWN = 3;

/** @throws {RigError} blame `hardware` when a want cannot be served, however long one waits */
export function refuseUnusable(wants: readonly Want[], sights: readonly Sight[]): void {
  const isThere = (device: Sight['device']): boolean =>
    sights.some((sight) => sight.device === device && sight.view.state !== 'missing');
  const [unserved] = unservedWants(wants, isThere);
  if (!unserved) return;
  const missing = sights
    .filter(({ device }) => unserved.devices.includes(device))
    .flatMap(({ device, view }) =>
      view.state === 'missing' ? [`${device.name}: ${view.problem.text}`] : [],
    );
  const [first] = missing;
  if (first === undefined) return;
  const others = missing.length > 1 ? ` (and ${missing.length - 1} more of type ${unserved.type} alike)` : '';
  throw new RigError('hardware', `${first}${others}`);
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
