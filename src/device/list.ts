/** `sai-device --list`: every device and who has it, without touching one. */

import { readProcessEnvironment, readProcessTable } from '../base/process-table.ts';
import type { Invocation } from '../base/run-main.ts';
import { ENV } from '../wire/env.ts';
import { readLeaseFile } from './lease-file.ts';
import { type DeviceView, describeHolder, lookAt } from './look.ts';
import { ttyGidOf } from './place.ts';
import { loadPool, type PooledDevice } from './pool.ts';
import { readFlocks } from './proc-locks.ts';
import { findRunDir, type RunDir } from './run-dir.ts';

interface ListedDevice {
  readonly name: string;
  readonly type: string;
  readonly state: DeviceView['state'];
  /** Of a held device: all of it; of a foreign one: the pid, where the kernel shows it. */
  readonly holder?: {
    readonly pid: number;
    readonly user?: string;
    readonly command?: string;
    readonly sinceMs?: number;
    readonly lease?: string;
  };
  readonly ttys: readonly string[];
  /** Why it cannot be used. */
  readonly problem?: string;
  /** Processes of a lease that nobody holds any more: holder and guard were killed at once. */
  readonly strays?: readonly number[];
}

interface Listing {
  readonly device: ListedDevice;
  /** The same for people. */
  readonly text: string;
}

/** Prints every device and who has it. */
export async function listPool(
  config: string,
  format: 'text' | 'json',
  { env, print }: Invocation,
): Promise<number> {
  const pool = await loadPool(config);
  const runDir = findRunDir({ configured: env[ENV.runDir], ttyGid: ttyGidOf(pool) });
  for (const { device, text } of listDevices(pool, runDir)) {
    print(`${format === 'json' ? JSON.stringify(device) : text}\n`);
  }
  return 0;
}

function listDevices(pool: readonly PooledDevice[], runDir: RunDir | undefined): Listing[] {
  const flocks = readFlocks();
  const leased = processesByLease();
  return pool.map((device) => {
    const view = lookAt(device, runDir, flocks);
    const strays = runDir ? straysOf(view, runDir, leased) : [];
    return { device: listed(device, view, strays), text: describe(device, view, strays) };
  });
}

function listed(device: PooledDevice, view: DeviceView, strays: readonly number[]): ListedDevice {
  const holder = holderOf(view);
  return {
    name: device.name,
    type: device.type,
    state: view.state,
    ...(holder && { holder }),
    ttys: device.ttys.map((tty) => tty.path),
    ...(view.state === 'missing' && { problem: view.problem.text }),
    ...(strays.length > 0 && { strays }),
  };
}

function holderOf(view: DeviceView): ListedDevice['holder'] {
  if (view.state === 'foreign') return { pid: view.pid };
  if (view.state !== 'held' || !view.record || view.record.releasedAtMs !== undefined) return undefined;
  const { holderPid, user, command, sinceMs, folder } = view.record;
  return { pid: holderPid, user, command, sinceMs, lease: folder };
}

function describe(device: PooledDevice, view: DeviceView, strays: readonly number[]): string {
  const left = strays.length > 0 ? `; left behind by its last lease: pid ${strays.join(', ')}` : '';
  return `${describeHolder(device, view)} [${device.type}]${left}`;
}

function straysOf(
  view: DeviceView,
  runDir: RunDir,
  leased: ReadonlyMap<string, readonly number[]>,
): number[] {
  if (view.state === 'missing' || view.state === 'held') return [];
  const folders = new Set(view.places.map((place) => readLeaseFile(runDir, place)?.folder));
  return [...folders].flatMap((folder) => leased.get(folder ?? '') ?? []);
}

function processesByLease(): Map<string, number[]> {
  const start = `${ENV.deviceLease}=`;
  const found = new Map<string, number[]>();
  for (const { pid, state } of readProcessTable()) {
    if (state === 'Z') continue;
    const folder = readProcessEnvironment(pid)
      .find((entry) => entry.startsWith(start))
      ?.slice(start.length);
    if (folder) found.set(folder, [...(found.get(folder) ?? []), pid]);
  }
  return found;
}
