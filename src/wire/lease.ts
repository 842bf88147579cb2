import * as v from 'valibot';
import { CrashConfig } from './crash.ts';

const Integer = v.pipe(v.number(), v.integer());

/** A tty of a held device: its path as configured, the name the config gives it, and the speed it was set to. */
const LeasedTty = v.strictObject({
  path: v.string(),
  name: v.exactOptional(v.string()),
  baudRate: Integer,
  /** False where the config leaves it to others: it is exported, not locked. */
  locked: v.exactOptional(v.literal(false)),
});

/** One device of a lease. */
export const LeasedDevice = v.strictObject({
  /** What `--and ROLE=TYPE` calls it; absent for the first device, the one that `SAI_DEVICE_…` tells of. */
  role: v.exactOptional(v.string()),
  name: v.string(),
  type: v.string(),
  /** Every word a request may use to join: name, type, compatible entries. */
  answersTo: v.array(v.string()),
  /** By tty index, as configured. */
  ttys: v.array(LeasedTty),
  /** `<url>/<target>` */
  jig: v.exactOptional(v.string()),
  /** How long a tty of it may be away each time; absent when it may not. */
  reappearMs: v.exactOptional(Integer),
  /** Its ttys have no lock of their own, for the whole lease. */
  lend: v.exactOptional(v.literal('always')),
  /** What counts as a crash of it, where its config says so. */
  crash: v.exactOptional(CrashConfig),
  /** Its debug probe, and the first of the ten TCP ports that are the lease's. */
  probe: v.exactOptional(v.strictObject({ serial: v.string(), portBase: Integer })),
});
export type LeasedDevice = v.InferOutput<typeof LeasedDevice>;

/**
 * Who holds which devices, in their lease files (whose flock is the truth) and as `lease.json` in the lease's folder.
 * Kept after release, with `releasedAtMs`: the next fence and "least recently used" come from there.
 */
export const LeaseRecord = v.strictObject({
  version: v.literal(2),
  /** Absolute path of the lease's folder; the value of `SAI_DEVICE_LEASE`. */
  folder: v.string(),
  /** The first is the one that was asked for by type; more with `--and`. */
  devices: v.tupleWithRest([LeasedDevice], LeasedDevice),
  /** The `sai-device` that took it; with `holderStartTicks` one process for ever. */
  holderPid: Integer,
  holderStartTicks: Integer,
  user: v.string(),
  command: v.string(),
  /** Milliseconds since the epoch. */
  sinceMs: Integer,
  fence: Integer,
  /** Folder of the lease under which this one was asked for. */
  parent: v.exactOptional(v.string()),
  releasedAtMs: v.exactOptional(Integer),
});
export type LeaseRecord = v.InferOutput<typeof LeaseRecord>;

/** File in the lease's folder that holds its {@link LeaseRecord}. */
export const LEASE_RECORD_FILE = 'lease.json';

/** Files in the lease's folder, per tty: whose flock is held by the reader, and what the last one read but did not use. */
export const consoleLockFile = (index: number): string => `console-${index}.lock`;
export const unreadBytesFile = (index: number): string => `console-${index}.unread`;
