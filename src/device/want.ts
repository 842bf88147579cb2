/** What a request wants: one device, or several that it takes together. */

import { assign, groupsOf } from './assignment.ts';
import { claimsOf } from './place.ts';
import type { PooledDevice } from './pool.ts';

export interface Want {
  /** What `--and` calls it; undefined for the first. */
  readonly role: string | undefined;
  /** As typed. */
  readonly type: string;
  /** Any of these, in file order, would do; never empty. */
  readonly devices: readonly PooledDevice[];
}

/** `device of type uno`, `devices of type uno and peer=nrf52`. */
export function describeWants(wants: readonly Want[]): string {
  const words = wants.map(({ role, type }) => (role === undefined ? type : `${role}=${type}`));
  return `${words.length > 1 ? 'devices' : 'device'} of type ${words.join(' and ')}`;
}

/** The wants that go without when all that `isUsable` allows is free: each needs a device, and locks, of its own. */
export function unservedWants(wants: readonly Want[], isUsable: (device: PooledDevice) => boolean): Want[] {
  const devices = [...new Set(wants.flatMap((want) => want.devices))].filter((device) => isUsable(device));
  const groups = groupsOf(devices.map((device) => claimsOf(device)));
  const given = assign(
    wants.map((want) =>
      groups.filter((_group, index) => want.devices.some((each) => each === devices[index])),
    ),
  );
  return wants.filter((_want, index) => given[index] === undefined);
}
