/// <reference types="node" preserve="true" />
/**
 * `sai-rig/device`: takes a device for as long as a program of yours needs it, in the same queue, with the same locks
 * and the same promises as the command `sai-device`.
 */

import { fileURLToPath } from 'node:url';
import { type Blame, RigError } from '../base/errors.ts';
import { oneLine } from '../base/one-line.ts';
import { ENV } from '../wire/env.ts';
import type { LeasedDevice, LeaseRecord } from '../wire/lease.ts';
import { DEFAULT_CONFIG, DEFAULT_GRACE_MS } from './defaults.ts';
import { checkAcquireOptions, checkRequest, type DeviceRequest } from './device-request.ts';
import { environmentOf, environmentOfMember } from './environment.ts';
import { Guard } from './guard.ts';
import type { Lease } from './lease.ts';
import { LendServer } from './lend-server.ts';
import { USUAL_PRIORITY } from './order.ts';
import { endTree, markOf, ProcessTree } from './process-tree.ts';
import { reserve } from './reserve.ts';
import { checkRoles, isRole, type RoleRequest } from './role.ts';
import { TtyKeeper } from './tty-keeper.ts';

export { type Blame, type DeviceRequest, RigError };

export interface AcquireOptions {
  /** Ends the wait: `acquire` rejects with its reason, and the place in the queue is given up. */
  readonly signal?: AbortSignal;
  /** Told, while it waits, who has the devices: at each change, one line. */
  readonly onWait?: (text: string) => void;
  /** Instead of `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

/** A tty of a device: its path as configured, the name the config gives it, and the speed it was set to. */
export interface DeviceTty {
  readonly path: string;
  readonly name?: string;
  readonly baudRate: number;
}

/** One device of a lease. */
export interface HeldDevice {
  readonly name: string;
  readonly type: string;
  readonly ttys: readonly DeviceTty[];
  /** `<url>/<target>` of the jig that holds the device's lines. */
  readonly jig: string | undefined;
}

/** A held device. Ends by `release`, by leaving an `await using` block, and with this process, however that ends. */
export interface DeviceLease extends HeldDevice, AsyncDisposable {
  /** What was asked for by `and`, under the roles of the request. */
  readonly peers: Readonly<Record<string, HeldDevice>>;
  /** Outranks every older holder of the same devices. */
  readonly fence: number;
  /** The lease's folder, gone with it. */
  readonly folder: string;
  /**
   * Aborted, with a {@link RigError} as reason, once a tty went away and was not back within the device's `reappear`
   * (blame `hardware`), another program has locked it meanwhile, or the lease lasted too long (`busy`). The device stays
   * held until `release`.
   */
  readonly lost: AbortSignal;
  /**
   * The environment for a process that you start to work with the device: `SAI_DEVICE_TTY0` and its like. From the
   * first call on a small guard process shares the lease: should this process be killed, it ends what you started
   * with this environment before the device is free. `release` does the same.
   *
   * @throws {RigError} blame `unavailable` when the system starts no more processes
   * @throws after `release`
   */
  childEnvironment(): NodeJS.ProcessEnv;
  /** Ends what was started with `childEnvironment` (TERM, after 5 s KILL), then lets go. Twice is fine. */
  release(): Promise<void>;
}

/**
 * Waits for a free device that the request means, and takes it. Under a lease that serves the request already
 * (`$SAI_DEVICE_LEASE`, as under `sai-device`) it joins that one, which its release then leaves alone.
 *
 * @throws {RigError} blame `usage` for a request that is none, `config` for a wrong config or unknown type, `busy` when none came free in time,
 *   `hardware` when none can be used, `unavailable` when the lease cannot be written down
 * @throws the reason of `signal`
 */
export async function acquire(request: DeviceRequest, options: AcquireOptions = {}): Promise<DeviceLease> {
  checkRequest(request);
  checkAcquireOptions(options);
  const env = options.env ?? process.env;
  const and = rolesOf(request);
  const { lease, joined } = await reserve(
    {
      type: request.type,
      name: request.name,
      tags: request.tags ?? [],
      config: request.config ?? (env[ENV.devicesConfig] || DEFAULT_CONFIG),
      force: false,
      and,
      priority: request.priority ?? USUAL_PRIORITY,
      waitMs: request.waitMs,
      joins: true,
      purpose: oneLine(request.purpose ?? process.argv.join(' ')),
    },
    {
      env,
      stop: options.signal ?? new AbortController().signal,
      say: options.onWait ?? (() => {}),
    },
  );
  if (joined) return new JoinedLease(joined.device, joined.lease, { env, and });
  return new OwnLease(lease, { env, and, maxLeaseMs: request.maxLeaseMs ?? lease.maxLeaseMs });
}

/** What a lease says of its devices. */
abstract class Leased {
  readonly name: string;
  readonly type: string;
  readonly ttys: readonly DeviceTty[];
  readonly jig: string | undefined;
  readonly peers: Readonly<Record<string, HeldDevice>>;
  readonly fence: number;
  readonly folder: string;

  constructor(device: LeasedDevice, lease: LeaseRecord, and: readonly RoleRequest[]) {
    const { name, type, ttys, jig } = heldDevice(device);
    this.name = name;
    this.type = type;
    this.ttys = ttys;
    this.jig = jig;
    this.peers = Object.fromEntries(
      and.flatMap(({ role }) => {
        const peer = lease.devices.find((each) => isRole(each.role, role));
        return peer ? [[role, heldDevice(peer)]] : [];
      }),
    );
    this.fence = lease.fence;
    this.folder = lease.folder;
  }

  abstract release(): Promise<void>;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** Somebody else's, under whom this process runs. */
class JoinedLease extends Leased implements DeviceLease {
  /** Whoever holds it ends this process when it is over. */
  readonly lost = new AbortController().signal;
  readonly #childEnvironment: NodeJS.ProcessEnv;

  constructor(
    device: LeasedDevice,
    lease: LeaseRecord,
    { env, and }: { readonly env: NodeJS.ProcessEnv; readonly and: readonly RoleRequest[] },
  ) {
    super(device, lease, and);
    // The device that the environment tells of already may have other paths in this container.
    this.#childEnvironment =
      device === lease.devices[0] ? { ...env } : environmentOfMember(env, device, undefined);
  }

  childEnvironment(): NodeJS.ProcessEnv {
    return { ...this.#childEnvironment };
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}

interface OwnLeaseOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly and: readonly RoleRequest[];
  readonly maxLeaseMs: number;
}

class OwnLease extends Leased implements DeviceLease {
  readonly #lease: Lease;
  readonly #env: NodeJS.ProcessEnv;
  readonly #loss = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #keeper: TtyKeeper;
  /** Of all that was started with our environment. */
  readonly #tree: ProcessTree;
  #guard: Guard | undefined;
  #lending: LendServer | undefined;
  #release: Promise<void> | undefined;

  constructor(lease: Lease, { env, and, maxLeaseMs }: OwnLeaseOptions) {
    super(lease.record.devices[0], lease.record, and);
    this.#lease = lease;
    this.#env = env;
    this.#timer = Number.isFinite(maxLeaseMs)
      ? setTimeout(() => this.#endOvertime(), maxLeaseMs).unref()
      : undefined;
    this.#tree = new ProcessTree(markOf(lease.record.folder, undefined), lease.record.holderStartTicks);
    const guard = { relieve: () => this.#guard?.relieve() ?? true };
    this.#keeper = new TtyKeeper(lease, { guard, detail: () => {} });
    this.#keeper.start({
      tree: () => this.#tree.scan(),
      onTrouble: ({ error }) => this.#loss.abort(error),
    });
  }

  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  childEnvironment(): NodeJS.ProcessEnv {
    if (this.#release) throw new Error(`${this.name}: the lease has been released`);
    this.#guard ??= new Guard(this.#lease, { program: guardProgram(), graceMs: DEFAULT_GRACE_MS });
    this.#lending ??= new LendServer(this.#lease, { keeper: this.#keeper, say: () => {} });
    const findings = this.#env[ENV.findings] || this.#lease.findingsFile;
    return environmentOf(this.#env, this.#lease, { alias: undefined, findings });
  }

  release(): Promise<void> {
    this.#release ??= this.#end();
    return this.#release;
  }

  async #end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#keeper[Symbol.dispose]();
    if (this.#guard) {
      await endTree({ scan: () => this.#tree.scan(), graceMs: DEFAULT_GRACE_MS });
      await this.#guard.end();
    }
    this.#lending?.[Symbol.dispose]();
    this.#lease.release();
  }

  #endOvertime(): void {
    this.#loss.abort(
      new RigError('busy', `${this.name}: the lease has lasted too long; allow more by maxLeaseMs`),
    );
  }
}

function rolesOf({ and = {} }: DeviceRequest): readonly RoleRequest[] {
  return checkRoles(
    Object.entries(and).map(([role, type]) => ({ role, type })),
    'and',
  );
}

function heldDevice({ name, type, ttys, jig }: LeasedDevice): HeldDevice {
  return { name, type, ttys, jig };
}

/** Built beside this file. */
function guardProgram(): string {
  return fileURLToPath(new URL('device-guard.cjs', import.meta.url));
}
