/** A device as the pool has it, for what needs no config file. */

import type { PooledDevice } from '../../src/device/pool.ts';

export function pooledUno(ttys: readonly string[], locks: readonly string[] = []): PooledDevice {
  return {
    name: 'uno1',
    type: 'uno',
    answersTo: ['uno1', 'uno'],
    tags: [],
    ttys: ttys.map((path) => ({ path, name: undefined, baudRate: 9600, locked: true, hangUpOnClose: false })),
    locks,
    env: {},
    jig: undefined,
    usb: undefined,
    probe: undefined,
    waitMs: undefined,
    maxLeaseMs: undefined,
    reappearMs: 0,
    lend: 'asked',
  };
}
