/** What a device's state is, found without opening or locking anything of it. */

import { describeProcess } from '../base/describe-process.ts';
import { oneLine } from '../base/one-line.ts';
import { type FlockTable, NO_FLOCKS, readFlocks } from '../base/proc-locks.ts';
import { isAlive } from '../base/process-table.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { isLeaseHeld } from '../tty/held-leases.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import { numberText } from './host-files.ts';
import { findLeaseOf, leaseFilePath, readLeaseFile } from './lease-file.ts';
import { type Place, type PlaceProblem, readClaims, surveyPlaces } from './place.ts';
import type { PooledDevice } from './pool.ts';
import { stoppedGuardOf } from './process-tree.ts';
import type { RunDir } from './run-dir.ts';
import { type Quarantine, type RigState, readState } from './state.ts';
import { identityProblem } from './usb-identity.ts';

/** So soon it is most likely free still; whoever opens a tty of it asks the kernel first. */
const JUST_RELEASED_MS = 100;

export type DeviceView =
  | {
      readonly state: 'free';
      readonly places: readonly Place[];
      /** Milliseconds since the epoch; 0 when nobody is known to have used it. */
      readonly lastUsedMs: number;
    }
  /** `record` is undefined while the holder writes it. */
  | { readonly state: 'held'; readonly places: readonly Place[]; readonly record: LeaseRecord | undefined }
  /** Locked by a program that takes no lease: flock(1), tio, esptool, Sai's own. 0: the kernel does not say who. */
  | { readonly state: 'foreign'; readonly places: readonly Place[]; readonly pid: number }
  | { readonly state: 'missing'; readonly problem: PlaceProblem }
  /** Nobody has it, and nobody gets it. */
  | { readonly state: 'quarantined'; readonly places: readonly Place[]; readonly quarantine: Quarantine };

/** One look; `flocks` and `state` let many devices share it. */
export function lookAt(
  device: PooledDevice,
  runDir: RunDir | undefined,
  flocks: FlockTable = readFlocks(),
  state: RigState = readState(runDir),
): DeviceView {
  const { places, problem } = surveyPlaces(device);
  if (problem) {
    // A board may be away for a moment, and yet not be missing: its lease waits for it.
    const record = runDir && findLeaseOf(device, runDir, flocks);
    return record ? { state: 'held', places: [], record } : { state: 'missing', problem };
  }
  const records = runDir ? places.map((place) => readLeaseFile(runDir, place)) : [];
  const leased = runDir
    ? places.findIndex((place, index) => isLeaseHeld(leaseFilePath(runDir, place), records[index], flocks))
    : -1;
  if (leased >= 0) return { state: 'held', places, record: records[leased] };
  for (const place of places) {
    const pid = flocks.holderOf(place);
    if (pid !== undefined) return { state: 'foreign', places, pid };
  }
  // It is back at another place than it was leased at, where its holder has not locked it yet.
  const elsewhere = runDir && findLeaseOf(device, runDir, flocks);
  if (elsewhere) return { state: 'held', places, record: elsewhere };
  const quarantine = state.devices.get(device.name)?.quarantine;
  if (quarantine) return { state: 'quarantined', places, quarantine };
  // Last: a board that is held may show other numbers while its bootloader runs.
  const wrong = identityProblem(
    device,
    places.map(({ path, rdev }) => ({ path, number: numberText(rdev) })),
  );
  if (wrong) {
    const text = `${wrong.problem}; ${wrong.cure}`;
    return { state: 'missing', problem: { blame: 'hardware', path: places[0]?.path ?? '', text } };
  }
  return {
    state: 'free',
    places,
    lastUsedMs: Math.max(0, ...records.map((record) => record?.releasedAtMs ?? 0)),
  };
}

/**
 * The same at once, for whoever was woken, where the records of leases tell enough: one of ours has the device, or had
 * it until a moment ago, and a foreigner is not looked for. Undefined where the kernel has to be asked.
 */
export function glanceAt(device: PooledDevice, runDir: RunDir): DeviceView | undefined {
  const { places } = surveyPlaces(device);
  const records = places?.map((place) => readLeaseFile(runDir, place));
  const tells =
    records?.some((record) => isHeldBy(record)) || records?.every((record) => isJustReleased(record));
  return tells ? lookAt(device, runDir, NO_FLOCKS) : undefined;
}

/** Whether nobody has a device of another waiter's ticket, as far as its claims tell; also when it is not there. */
export function isUnclaimed(claims: readonly string[], runDir: RunDir, flocks: FlockTable): boolean {
  const { paths, names } = readClaims(claims);
  const files = paths.map((path) => statIfVisible(path)).filter((file) => file !== undefined);
  return (
    !files.some((file) => flocks.holderOf(file) !== undefined) &&
    !names.some((name) =>
      isLeaseHeld(leaseFilePath(runDir, { name }), readLeaseFile(runDir, { name }), flocks),
    )
  );
}

function isHeldBy(record: LeaseRecord | undefined): boolean {
  if (!record || record.releasedAtMs !== undefined) return false;
  return isAlive({ pid: record.holderPid, startTicks: record.holderStartTicks });
}

function isJustReleased(record: LeaseRecord | undefined): boolean {
  const ageMs = Date.now() - (record?.releasedAtMs ?? 0);
  return ageMs >= 0 && ageMs < JUST_RELEASED_MS;
}

/** Who has it, for people: `uno1 is held by pid 812 (ctest -j4) of ann since 12:03:04`. */
export function describeHolder(device: PooledDevice, view: DeviceView): string {
  switch (view.state) {
    case 'free':
      return `${device.name} is free`;
    case 'missing':
      return `${device.name} is not usable: ${view.problem.text}`;
    case 'foreign':
      return `${device.name} is locked by ${view.pid > 0 ? describeProcess(view.pid) : 'another program'}`;
    case 'quarantined':
      return `${device.name} is ${describeQuarantine(device, view.quarantine)}`;
    case 'held': {
      const { record } = view;
      if (!record || record.releasedAtMs !== undefined) return `${device.name} is being taken`;
      const since = timeOfDay(record.sinceMs);
      const names = record.devices.map(({ name }) => name);
      const whose = names.includes(device.name) ? '' : ` as ${oneLine(names.join(' and '))}`;
      return `${device.name} is held${whose} by pid ${record.holderPid} (${oneLine(record.command)}) of ${oneLine(record.user)} since ${since}${describeStoppedGuard(record)}`;
    }
  }
}

/** Only SIGCONT, or SIGKILL, gets the lease of a killed holder from a guard that was stopped. */
export function stoppedGuardIn({ holderPid, holderStartTicks }: LeaseRecord): number | undefined {
  if (isAlive({ pid: holderPid, startTicks: holderStartTicks })) return undefined;
  return stoppedGuardOf(holderPid);
}

function describeStoppedGuard(record: LeaseRecord): string {
  const guard = stoppedGuardIn(record);
  return guard === undefined
    ? ''
    : `, which was killed, and its guard is stopped (kill -CONT ${guard} ends that)`;
}

/** `quarantined by ann since 2026-01-31 12:03: flashes badly (sai-device --release uno1 ends that)`. */
export function describeQuarantine(device: PooledDevice, { reason, by, atMs }: Quarantine): string {
  const release = `sai-device --release ${device.name}`;
  return `quarantined by ${oneLine(by)} since ${minuteOf(atMs)}: ${oneLine(reason)} (${release} ends that)`;
}

/** `12:03:04`, local. */
export function timeOfDay(atMs: number): string {
  const time = new Date(atMs); // toTimeString() would load the names of time zones as well
  const parts = [time.getHours(), time.getMinutes(), time.getSeconds()];
  return parts.map((each) => String(each).padStart(2, '0')).join(':');
}

/** Local time; a quarantine may last for weeks. */
function minuteOf(atMs: number): string {
  const time = new Date(atMs);
  const [month, day] = [time.getMonth() + 1, time.getDate()].map((each) => String(each).padStart(2, '0'));
  return `${time.getFullYear()}-${month}-${day} ${timeOfDay(atMs).slice(0, 5)}`;
}
