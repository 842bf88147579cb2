/** A sai-device that runs under a lease already. */

import { RigError } from '../base/errors.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import { readLiveLease } from './lease-file.ts';
import type { PooledDevice } from './pool.ts';

/** The lease of the command we are part of, and those under which it was asked for, innermost first. */
export function readAncestorLeases(folder: string | undefined): LeaseRecord[] {
  const leases: LeaseRecord[] = [];
  for (let next = folder; next !== undefined && next !== ''; ) {
    const lease = readLiveLease(next);
    if (!lease || leases.some((each) => each.folder === lease.folder)) break;
    leases.push(lease);
    next = lease.parent;
  }
  return leases;
}

/**
 * The devices that can come free while we wait: those of our own ancestors cannot.
 *
 * @throws {RigError} blame `busy` when only they would do
 */
export function withoutAncestors(
  devices: readonly PooledDevice[],
  ancestors: readonly LeaseRecord[],
  type: string,
): PooledDevice[] {
  const others = devices.filter((device) => !ancestors.some((lease) => isSame(lease, device)));
  if (others.length > 0) return others;
  const held = ancestors.filter((lease) => devices.some((device) => isSame(lease, device)));
  const names = held.map(
    ({ devices, holderPid, command }) =>
      `${devices.map(({ name }) => name).join(' and ')} by pid ${holderPid} (${command})`,
  );
  throw new RigError(
    'busy',
    `every device of type ${type} is held by a sai-device that this command runs under: ${names.join('; ')}; ` +
      'it cannot come free while this command runs',
  );
}

function isSame(lease: LeaseRecord, device: PooledDevice): boolean {
  return lease.devices.some(({ name, type }) => name === device.name && type === device.type);
}
