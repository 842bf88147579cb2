/** What no single device of the config shows: devices that stand in each other's way. */

import type { PooledDevice } from './pool.ts';

/** One line for each, with the path inside the config; `loadPool` refuses them all. */
export function clashesIn(devices: readonly PooledDevice[]): string[] {
  const clashes: string[] = [];
  const names = new Set<string>();
  const ttys = new Map<string, { readonly device: PooledDevice; readonly locked: boolean }[]>();
  for (const [index, device] of devices.entries()) {
    const where = `devices.${index}`;
    if (names.has(device.name)) {
      clashes.push(`${where}.name: expected a name of its own, got ${JSON.stringify(device.name)} again`);
    }
    names.add(device.name);
    if (device.locks.length === 0 && !device.ttys.some(({ locked }) => locked)) {
      clashes.push(`${where}: expected at least one tty or one entry in locks, got nothing to lock`);
    }
    for (const [ttyIndex, { path, locked }] of device.ttys.entries()) {
      const users = ttys.get(path) ?? [];
      // One that both leave to others may be shared, such as a GPS clock.
      const other = users.find((user) => user.device !== device && (user.locked || locked));
      if (other) {
        clashes.push(
          `${where}.ttys.${ttyIndex}: expected a tty of ${device.name} alone, got ${path}, ` +
            `which ${other.device.name} has too`,
        );
      }
      users.push({ device, locked });
      ttys.set(path, users);
    }
  }
  return clashes;
}
