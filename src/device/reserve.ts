/** From a request to a lease: which devices it means, whether it has one already, and the wait for one. */

import { ENV } from '../wire/env.ts';
import type { LeasedDevice, LeaseRecord } from '../wire/lease.ts';
import { DEFAULT_WAIT_MS } from './defaults.ts';
import { type Alias, aliasOf } from './environment.ts';
import type { Lease } from './lease.ts';
import { readAncestorLeases, withoutAncestors } from './nested.ts';
import { ttyGidOf } from './place.ts';
import { type DeviceRequest, loadPool, matchDevices, type PooledDevice } from './pool.ts';
import { acquire } from './queue.ts';
import { openRunDir, type RunDir } from './run-dir.ts';
import { readState } from './state.ts';

export interface Reservation extends DeviceRequest {
  /** The devices config. */
  readonly config: string;
  /** Accept a run folder on a network file system. */
  readonly force: boolean;
  /** Only devices that have that tty. */
  readonly alias?: Alias | undefined;
  /** Undefined: as the devices say, else two hours. 0: do not wait. */
  readonly waitMs: number | undefined;
  /** Under a lease that would do, join it. */
  readonly joins: boolean;
  /** What the device is wanted for, for people: the command line. */
  readonly purpose: string;
}

export interface ReserveContext {
  readonly env: NodeJS.ProcessEnv;
  readonly stop: AbortSignal;
  /** Told what people who wait want to know. */
  readonly say: (text: string) => void;
  /** Told once, when a device of our own is asked for. */
  readonly onQueue?: () => void;
}

/** What a request got: devices of its own, or those of the lease that it runs under. */
export type Reserved =
  | { readonly lease: Lease; readonly joined?: undefined }
  | {
      readonly lease?: undefined;
      readonly joined: { readonly lease: LeaseRecord; readonly device: LeasedDevice };
    };

/**
 * Waits for the device that is asked for, and takes it.
 *
 * @throws {RigError} blame `config` for a wrong config or unknown type, `busy` when none came free in time,
 *   `hardware` when none can be used, `unavailable` when the lease cannot be written down
 * @throws the reason of `stop`
 */
export async function reserve(request: Reservation, context: ReserveContext): Promise<Reserved> {
  const { env, say, stop, onQueue } = context;
  const ancestors = readAncestorLeases(env[ENV.deviceLease]);
  const own = ancestors[0];
  const sure = own && request.joins ? sureMember(own, request) : undefined;
  if (own && sure) return { joined: { lease: own, device: sure } };
  const pool = await loadPool(request.config);
  const devices = matching(pool, request, say);
  const member =
    own && request.joins
      ? own.devices.find(({ name }) => devices.some((each) => each.name === name))
      : undefined;
  if (own && member) return { joined: { lease: own, device: member } };
  const others = withoutAncestors(devices, ancestors, request.type);
  const runDir = sharedFolder(pool, request, context);
  const { damage } = readState(runDir);
  if (damage !== undefined) say(damage);
  onQueue?.();
  const lease = await acquire(
    { devices: others, type: request.type, command: request.purpose, parent: own?.folder, runDir },
    { waitMs: request.waitMs ?? defaultWaitMs(others), stop, say },
  );
  return { lease };
}

/** The lease itself says that it serves the request: no config needed, as in a container that has none. */
function sureMember(lease: LeaseRecord, request: DeviceRequest): LeasedDevice | undefined {
  const { type, name, tags } = request;
  if (tags.length > 0) return undefined;
  return lease.devices.find(
    (each) => each.answersTo.includes(type) && (name === undefined || name === each.name),
  );
}

function matching(
  pool: readonly PooledDevice[],
  request: Reservation,
  say: ReserveContext['say'],
): readonly PooledDevice[] {
  const { alias, type } = request;
  const { devices, prefix } = matchDevices(pool, request);
  if (prefix !== undefined) say(`no device is of type ${type}; taking ${prefix}, which it begins with`);
  if (!alias) return devices;
  const withTty = devices.filter((device) => device.ttys.length > alias.ttyIndex);
  if (withTty.length === 0) aliasOf(alias, devices[0]?.ttys ?? []); // says what there is
  return withTty;
}

function sharedFolder(
  pool: readonly PooledDevice[],
  { force }: Reservation,
  { env, say }: ReserveContext,
): RunDir | undefined {
  const ttyGid = ttyGidOf(pool);
  const search = openRunDir({ configured: env[ENV.runDir], ttyGid, force });
  // Without any tty there is no group to share with, and no device to take: that is what has to be said.
  if (!search.runDir && ttyGid !== undefined) {
    say(
      `no shared run folder (${search.reason}): locking without queue; have root make /run/sai, mode 3775, for the group of the ttys`,
    );
  }
  return search.runDir;
}

function defaultWaitMs(devices: readonly PooledDevice[]): number {
  return Math.max(...devices.map((device) => device.waitMs ?? DEFAULT_WAIT_MS));
}
