/** What no single device of the config shows: devices that stand in each other's way. */

import type { PooledDevice } from './pool.ts';

/** One line for each, with the path inside the config; `{@link loadPool}` refuses them all. */
export function clashesIn(devices: readonly PooledDevice[]): string[] {
  return devices.flatMap((device, index) => {
    const before = devices.slice(0, index);
    const where = `devices.${index}`;
    return [
      ...nameClashes(device, before, where),
      ...nothingToLock(device, where),
      ...ttyClashes(device, before, where),
    ];
  });
}

function nameClashes({ name }: PooledDevice, before: readonly PooledDevice[], where: string): string[] {
  if (!before.some((other) => other.name === name)) return [];
  return [`${where}.name: expected a name of its own, got ${JSON.stringify(name)} again`];
}

function nothingToLock({ ttys, locks }: PooledDevice, where: string): string[] {
  if (locks.length > 0 || ttys.some((tty) => tty.locked)) return [];
  return [`${where}: expected at least one tty or one entry in locks, got nothing to lock`];
}

/** A tty that both leave to others may be shared, such as a GPS clock. */
function ttyClashes(device: PooledDevice, before: readonly PooledDevice[], where: string): string[] {
  return device.ttys.flatMap((tty, index) => {
    const other = before.find(({ ttys }) =>
      ttys.some(({ path, locked }) => path === tty.path && (locked || tty.locked)),
    );
    if (!other) return [];
    return [
      `${where}.ttys.${index}: expected a tty of ${device.name} alone, got ${tty.path}, which ${other.name} has too`,
    ];
  });
}
