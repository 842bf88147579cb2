/** From a request to a lease: which devices it means, whether it has one already, and the wait for one. */

import { RigError } from '../base/errors.ts';
import { ENV } from '../wire/env.ts';
import type { LeasedDevice, LeaseRecord } from '../wire/lease.ts';
import { DEFAULT_WAIT_MS } from './defaults.ts';
import { type Alias, aliasOf } from './environment.ts';
import type { Lease } from './lease.ts';
import { claimsHeldBy, readAncestorLeases, withoutAncestors } from './nested.ts';
import { ttyGidOf } from './place.ts';
import { type DeviceRequest, loadPool, matchDevices, type PooledDevice } from './pool.ts';
import { acquire, type WaitOptions } from './queue.ts';
import { isRole, type RoleRequest } from './role.ts';
import { openRunDir, type RunDir } from './run-dir.ts';
import { readState } from './state.ts';
import { describeWants, unservedWants, type Want } from './want.ts';

export interface Reservation extends DeviceRequest {
  /** The devices config. */
  readonly config: string;
  /** Accept a run folder on a network file system. */
  readonly force: boolean;
  /** What has to be there together with the device. */
  readonly and: readonly RoleRequest[];
  /** 0–9; 9 is served first. */
  readonly priority: number;
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
  /** Around a wait in the queue. */
  readonly whileWaiting?: WaitOptions['whileWaiting'];
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
  const { env, say, stop, onQueue, whileWaiting } = context;
  const ancestors = readAncestorLeases(env[ENV.deviceLease]);
  const own = request.joins ? ancestors[0] : undefined;
  const sure = own && memberOf(own, request, ({ answersTo }, { type }) => answersTo.includes(type));
  if (own && sure && request.tags.length === 0) return { joined: { lease: own, device: sure } };
  const pool = await loadPool(request.config);
  const wants: [Want, ...Want[]] = [
    { role: undefined, type: request.type, devices: matching(pool, request, say) },
    ...request.and.map(({ role, type }) => ({
      role,
      type,
      devices: matchingType(pool, { type, tags: [] }, say),
    })),
  ];
  const member =
    own &&
    memberOf(own, request, ({ name }, _request, index) =>
      wants[index]?.devices.some((device) => device.name === name),
    );
  if (own && member) return { joined: { lease: own, device: member } };
  refuseTooMany(wants, request.config);
  const left = withoutAncestors(wants, ancestors);
  const runDir = sharedFolder(pool, request, context);
  const { damage } = readState(runDir);
  if (damage !== undefined) say(damage);
  onQueue?.();
  const lease = await acquire(
    {
      wants: left,
      priority: request.priority,
      command: request.purpose,
      parent: ancestors[0]?.folder,
      ancestorClaims: claimsHeldBy(ancestors, pool),
      runDir,
    },
    { waitMs: request.waitMs ?? defaultWaitMs(left), stop, say, whileWaiting },
  );
  return { lease };
}

/**
 * The device of the lease that would serve the request, if all that it wants is there by the same roles. `serves` may
 * decide by what the lease itself says: then no config is needed, as in a container that has none.
 */
function memberOf(
  lease: LeaseRecord,
  request: Reservation,
  serves: (device: LeasedDevice, request: { readonly type: string }, index: number) => boolean | undefined,
): LeasedDevice | undefined {
  const { and, name } = request;
  const isThere = ({ role, type }: RoleRequest, index: number): boolean =>
    lease.devices.some((device) => isRole(device.role, role) && serves(device, { type }, index + 1));
  if (!and.every((each, index) => isThere(each, index))) return undefined;
  return lease.devices
    .filter((device) => !and.some(({ role }) => isRole(device.role, role)))
    .find((device) => serves(device, request, 0) && (name === undefined || name === device.name));
}

/** @throws {RigError} blame `config` when the devices that are wanted could not be had even if all were free */
function refuseTooMany(wants: readonly Want[], config: string): void {
  const [unserved] = unservedWants(wants, () => true);
  if (!unserved) return;
  const names = [...new Set(wants.flatMap(({ devices }) => devices.map(({ name }) => name)))];
  throw new RigError(
    'config',
    `${config}: expected ${describeWants(wants)}, each one of its own, found none left for ${unserved.type}: ` +
      `there ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}; ask for fewer, or add a device`,
  );
}

function matching(
  pool: readonly PooledDevice[],
  request: Reservation,
  say: ReserveContext['say'],
): readonly PooledDevice[] {
  const { alias } = request;
  const devices = matchingType(pool, request, say);
  if (!alias) return devices;
  const withTty = devices.filter((device) => device.ttys.length > alias.ttyIndex);
  if (withTty.length === 0) aliasOf(alias, devices[0]?.ttys ?? []); // says what there is
  return withTty;
}

function matchingType(
  pool: readonly PooledDevice[],
  request: DeviceRequest,
  say: ReserveContext['say'],
): readonly PooledDevice[] {
  const { devices, prefix } = matchDevices(pool, request);
  if (prefix !== undefined)
    say(`no device is of type ${request.type}; taking ${prefix}, which it begins with`);
  return devices;
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

/** As long as the most patient device of a kind allows; of several kinds the least patient decides. */
function defaultWaitMs(wants: readonly Want[]): number {
  const longest = ({ devices }: Want): number =>
    Math.max(...devices.map((device) => device.waitMs ?? DEFAULT_WAIT_MS));
  return Math.min(...wants.map((want) => longest(want)));
}
