/** Holding a device: its locks, the record of who holds it, and the folder that the command's tools share. */

import { closeSync, constants, fchmodSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RigError, reasonOf } from '../base/errors.ts';
import { expectLook } from '../base/proc-locks.ts';
import { readProcess } from '../base/process-table.ts';
import { userName } from '../base/user-name.ts';
import { tryFlock } from '../native/flock.ts';
import { LEASE_RECORD_FILE, type LeasedDevice, type LeaseRecord } from '../wire/lease.ts';
import { removeAbandonedLeases } from './abandoned-leases.ts';
import { DEFAULT_MAX_LEASE_MS } from './defaults.ts';
import { readLeaseFile } from './lease-file.ts';
import { concludeLease, recordRelease, writeLeaseRecord } from './lease-record.ts';
import type { LockedPlace } from './locked-place.ts';
import { claimsOf, type Place } from './place.ts';
import type { PooledDevice } from './pool.ts';
import { type PortBlock, takePortBlock } from './port-block.ts';
import type { RunDir } from './run-dir.ts';
import { readState } from './state.ts';
import { TicketLine } from './ticket.ts';
import type { DeviceLock } from './tty-lock.ts';

/** A device of a lease, and what `--and` calls it. */
export interface Holding {
  /** Undefined for the device that `SAI_DEVICE_…` tells of. */
  readonly role: string | undefined;
  readonly device: PooledDevice;
}

export interface LeaseRequest {
  /** The first is the one without a role. */
  readonly holdings: readonly [Holding, ...Holding[]];
  /** Of all devices. */
  readonly places: readonly Place[];
  readonly lock: DeviceLock;
  readonly runDir: RunDir | undefined;
  /** The command line, for people. */
  readonly command: string;
  /** Folder of the lease under which this one was asked for. */
  readonly parent: string | undefined;
}

/** One held device, or several that were taken together. Ends by `release`, or with the last of holder and guard. */
export class Lease {
  readonly record: LeaseRecord;
  readonly holdings: LeaseRequest['holdings'];
  readonly lock: DeviceLock;
  readonly #recordFd: number;
  readonly #runDir: RunDir | undefined;
  /** Of each device. */
  readonly #claims: readonly (readonly string[])[];
  readonly #portBlocks: readonly PortBlock[];
  #released = false;

  constructor(
    request: LeaseRequest,
    record: LeaseRecord,
    recordFd: number,
    portBlocks: readonly PortBlock[],
  ) {
    this.record = record;
    this.holdings = request.holdings;
    this.lock = request.lock;
    this.#runDir = request.runDir;
    this.#recordFd = recordFd;
    this.#claims = request.holdings.map(({ device }) => claimsOf(device)); // before any of it may be unplugged
    this.#portBlocks = portBlocks;
  }

  /** What keeps the lease alive in whoever inherits it; no stream ever gets one. */
  get descriptors(): { readonly leaseFiles: readonly number[]; readonly others: readonly number[] } {
    return {
      leaseFiles: this.lock.leaseDescriptors,
      others: [this.#recordFd, ...this.#portBlocks.map(({ fd }) => fd), ...this.lock.nodeDescriptors],
    };
  }

  /** The device that was asked for by type. */
  get device(): PooledDevice {
    return this.holdings[0].device;
  }

  /** Longest time that it may last, as the least patient of its devices says. */
  get maxLeaseMs(): number {
    return Math.min(...this.holdings.map(({ device }) => device.maxLeaseMs ?? DEFAULT_MAX_LEASE_MS));
  }

  /** Where findings go when nobody outside wants them: gone with the lease. */
  get findingsFile(): string {
    return join(this.record.folder, 'findings.jsonl');
  }

  get runDir(): RunDir | undefined {
    return this.#runDir;
  }

  /** The device that a place belongs to, or another that says the same of it. */
  deviceOf({ tty }: Pick<LockedPlace, 'tty'>): PooledDevice {
    const holding = this.holdings.find(({ device }) => device.ttys.some((each) => each === tty));
    return holding?.device ?? this.device;
  }

  /** Whoever is next looks at the flocks before it opens a tty: that look begins now. */
  expectRelease(): void {
    if (this.#isWaitedFor()) expectLook();
  }

  /** Only once nothing of the command lives any more. Twice is fine. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    concludeLease(this.record, this.lock.leaseDescriptors);
    closeSync(this.#recordFd);
    for (const { fd } of this.#portBlocks) closeSync(fd);
    this.lock.release();
    this.#wakeNext();
  }

  #isWaitedFor(): boolean {
    try {
      return this.#runDir !== undefined && new TicketLine(this.#runDir.queue).hasAny();
    } catch {
      return false; // the queue was removed
    }
  }

  /** For each device whoever is first in its line. */
  #wakeNext(): void {
    if (!this.#runDir) return;
    try {
      const line = new TicketLine(this.#runDir.queue);
      for (const claims of this.#claims) line.wakeFirst(claims);
    } catch {
      // the queue was removed: the waiters say so
    }
  }
}

/**
 * Turns locks into a lease. The locks are let go when that fails.
 *
 * @throws {RigError} blame `unavailable` when it cannot be written down (disk full), or no TCP ports are free for a probe
 */
export function beginLease(request: LeaseRequest): Lease {
  const { places, lock, runDir } = request;
  let folder: string | undefined;
  let recordFd: number | undefined;
  let record: LeaseRecord | undefined;
  const portBlocks: PortBlock[] = [];
  try {
    const hold = (holding: Holding): LeasedDevice => {
      const ports = holding.device.probe && takePortBlock(runDir);
      if (ports) portBlocks.push(ports);
      return leasedDevice(holding, ports?.base);
    };
    const [first, ...others] = request.holdings;
    const devices: LeaseRecord['devices'] = [hold(first), ...others.map((each) => hold(each))];
    const previous = runDir ? places.map((place) => readLeaseFile(runDir, place)) : [];
    const { devices: known } = readState(runDir); // also of a board that is at another USB port now
    const fences = [
      ...request.holdings.map(({ device }) => known.get(device.name)?.fence ?? 0),
      ...previous.map((record) => record?.fence ?? 0),
    ];
    const fence = Math.max(Date.now() * 1000, ...fences.map((each) => each + 1));
    folder = makeFolder(runDir, fence);
    recordFd = openSync(
      join(folder, LEASE_RECORD_FILE),
      constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
    );
    fchmodSync(recordFd, 0o600);
    tryFlock(recordFd);
    record = recordOf(request, devices, folder, fence);
    for (const fd of [recordFd, ...lock.leaseDescriptors]) writeLeaseRecord(fd, record);
    if (runDir) removeAbandonedLeases(runDir, previous);
    return new Lease(request, record, recordFd, portBlocks);
  } catch (error) {
    if (recordFd !== undefined) closeSync(recordFd);
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    for (const { fd } of portBlocks) closeSync(fd);
    // Those that were written already would name a holder who lives on: a program that uses the library.
    if (record) recordRelease(record, lock.leaseDescriptors);
    lock.release();
    if (error instanceof RigError) throw error;
    const where = runDir?.leases ?? tmpdir();
    throw new RigError('unavailable', `${where}: cannot write down the lease: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function makeFolder(runDir: RunDir | undefined, fence: number): string {
  if (!runDir) return mkdtempSync(join(tmpdir(), 'sai-lease-'));
  return mkdtempSync(join(runDir.leases, `${fence}-`)); // pid and time alone could be those of another container
}

function recordOf(
  { command, parent }: LeaseRequest,
  devices: LeaseRecord['devices'],
  folder: string,
  fence: number,
): LeaseRecord {
  return {
    version: 2,
    folder,
    devices,
    holderPid: process.pid,
    holderStartTicks: readProcess(process.pid)?.startTicks ?? 0,
    user: userName(),
    command,
    sinceMs: Date.now(),
    fence,
    ...(parent === undefined ? {} : { parent }),
  };
}

function leasedDevice({ role, device }: Holding, portBase: number | undefined): LeasedDevice {
  const { name, type, answersTo, ttys, jig, probe, crash, reappearMs, lend } = device;
  return {
    ...(role === undefined ? {} : { role }),
    name,
    type,
    answersTo: [...answersTo],
    ttys: ttys.map(({ path, name, baudRate, locked }) => ({
      path,
      baudRate,
      ...(name === undefined ? {} : { name }),
      ...(locked ? {} : { locked }),
    })),
    ...(jig === undefined ? {} : { jig }),
    ...(reappearMs === 0 ? {} : { reappearMs }),
    ...(lend === 'always' ? { lend } : {}),
    ...(crash === undefined ? {} : { crash }),
    ...(probe && portBase !== undefined ? { probe: { serial: probe.serial, portBase } } : {}),
  };
}
