/** What a device's state is, found without opening or locking anything of it. */

import { describeProcess } from '../base/describe-process.ts';
import { oneLine } from '../base/one-line.ts';
import { type FlockTable, readFlocks } from '../base/proc-locks.ts';
import { isAlive } from '../base/process-table.ts';
import { statIfVisible } from '../base/visible-file.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import { numberText } from './host-files.ts';
import { leaseFilePath, readLeaseFile } from './lease-file.ts';
import { type Place, type PlaceProblem, surveyPlaces } from './place.ts';
import type { PooledDevice } from './pool.ts';
import type { RunDir } from './run-dir.ts';
import { type Quarantine, type RigState, readState } from './state.ts';
import { identityProblem } from './usb-identity.ts';

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
  if (problem) return { state: 'missing', problem };
  const records = runDir ? places.map((place) => readLeaseFile(runDir, place)) : [];
  const leased = runDir
    ? places.findIndex((place, index) => isLeased(runDir, place, records[index], flocks))
    : -1;
  if (leased >= 0) return { state: 'held', places, record: records[leased] };
  for (const place of places) {
    const pid = flocks.holderOf(place);
    if (pid !== undefined) return { state: 'foreign', places, pid };
  }
  const quarantine = state.devices.get(device.name)?.quarantine;
  if (quarantine) return { state: 'quarantined', places, quarantine };
  // Last: a board that is held may show other numbers while its bootloader runs.
  const wrong = identityProblem(
    device,
    places.map(({ path, rdev }) => ({ path, number: numberText(rdev) })),
  );
  if (wrong) {
    const text = `${wrong.problem}; ${wrong.cure}`;
    return { state: 'missing', problem: { path: places[0]?.path ?? '', text } };
  }
  return {
    state: 'free',
    places,
    lastUsedMs: Math.max(0, ...records.map((record) => record?.releasedAtMs ?? 0)),
  };
}

/** From inside a pid namespace /proc/locks hides who is outside: then the record speaks, if its holder can be seen. */
function isLeased(
  runDir: RunDir,
  place: Place,
  record: LeaseRecord | undefined,
  flocks: FlockTable,
): boolean {
  const file = statIfVisible(leaseFilePath(runDir, place));
  if (!file) return false;
  if (flocks.holderOf(file) !== undefined) return true;
  return (
    record !== undefined &&
    record.releasedAtMs === undefined &&
    isAlive({ pid: record.holderPid, startTicks: record.holderStartTicks })
  );
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
      return `${device.name} is held${whose} by pid ${record.holderPid} (${oneLine(record.command)}) of ${oneLine(record.user)} since ${since}`;
    }
  }
}

/** `quarantined by ann since 2026-01-31 12:03: flashes badly (sai-device --release uno1 ends that)`. */
export function describeQuarantine(device: PooledDevice, { reason, by, atMs }: Quarantine): string {
  const release = `sai-device --release ${device.name}`;
  return `quarantined by ${oneLine(by)} since ${minuteOf(atMs)}: ${oneLine(reason)} (${release} ends that)`;
}

/** `12:03:04`, local. */
export function timeOfDay(atMs: number): string {
  return new Date(atMs).toTimeString().slice(0, 8);
}

/** Local time; a quarantine may last for weeks. */
function minuteOf(atMs: number): string {
  const time = new Date(atMs);
  const [month, day] = [time.getMonth() + 1, time.getDate()].map((each) => String(each).padStart(2, '0'));
  return `${time.getFullYear()}-${month}-${day} ${timeOfDay(atMs).slice(0, 5)}`;
}
