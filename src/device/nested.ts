/** A sai-device that runs under a lease already. */

import { RigError } from '../base/errors.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import { readLiveLease } from './lease-file.ts';
import { claimsOf } from './place.ts';
import type { PooledDevice } from './pool.ts';
import { describeWants, unservedWants, type Want } from './want.ts';

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
 * @throws {RigError} blame `busy` when those that are left would not do
 */
export function withoutAncestors(
  wants: readonly [Want, ...Want[]],
  ancestors: readonly LeaseRecord[],
): [Want, ...Want[]] {
  const isHeld = (device: PooledDevice): boolean => ancestors.some((lease) => isOf(lease, device));
  if (unservedWants(wants, (device) => !isHeld(device)).length > 0) throw heldAbove(wants, ancestors);
  const [first, ...others] = wants.map((want) => ({
    ...want,
    devices: want.devices.filter((device) => !isHeld(device)),
  }));
  return [first as Want, ...others];
}

/** What these leases hold, as tickets name it. */
export function claimsHeldBy(leases: readonly LeaseRecord[], pool: readonly PooledDevice[]): string[] {
  return pool
    .filter((device) => leases.some((lease) => isOf(lease, device)))
    .flatMap((device) => claimsOf(device));
}

function heldAbove(wants: readonly Want[], ancestors: readonly LeaseRecord[]): RigError {
  const devices = wants.flatMap((want) => want.devices);
  const held = ancestors.filter((lease) => devices.some((device) => isOf(lease, device)));
  const names = held.map(
    ({ devices, holderPid, command }) =>
      `${devices.map(({ name }) => name).join(' and ')} by pid ${holderPid} (${command})`,
  );
  const by = `held by a sai-device that this command runs under: ${names.join('; ')}`;
  const text =
    wants.length > 1
      ? `${describeWants(wants)}: too few are left beside those ${by}; none of these can`
      : `every ${describeWants(wants)} is ${by}; it cannot`;
  return new RigError('busy', `${text} come free while this command runs`);
}

function isOf(lease: LeaseRecord, device: PooledDevice): boolean {
  return lease.devices.some(({ name, type }) => name === device.name && type === device.type);
}
