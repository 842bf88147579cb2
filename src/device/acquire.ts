/** Gets a device: at once when one is free and nobody was there before, else through the queue. */

import { RigError } from '../base/errors.ts';
import { readFlocks } from '../base/proc-locks.ts';
import { describeEstimate, estimateMs, type Prospect } from './history.ts';
import { beginLease, type Lease } from './lease.ts';
import { readLeaseFile } from './lease-file.ts';
import { type DeviceView, describeHolder, lookAt } from './look.ts';
import type { Place } from './place.ts';
import type { PooledDevice } from './pool.ts';
import type { RunDir } from './run-dir.ts';
import { type RigState, readState } from './state.ts';
import { type LockRefusal, tryLockDevice } from './tty-lock.ts';

/**
 * After a refusal that no look explains: first a short pause, for somebody who only tried the lock; then a longer one,
 * for a holder whom this pid namespace hides, because each of our tries opens the tty and may reset the board.
 */
const FIRST_REFUSAL_PAUSE_MS = 100;
const LATER_REFUSAL_PAUSE_MS = 2000;

export interface Wanted {
  /** In file order, never empty. */
  readonly devices: readonly PooledDevice[];
  /** As typed, for messages. */
  readonly type: string;
  readonly command: string;
  readonly parent: string | undefined;
  readonly runDir: RunDir | undefined;
}

export interface Sight {
  readonly device: PooledDevice;
  readonly view: DeviceView;
}

/** Looks at the devices that are wanted, and tries to take one. */
export class Acquisition {
  readonly wanted: Wanted;
  /** What the last try to take a device that looked free ran into. */
  readonly #obstacles = new Map<string, DeviceView>();
  readonly #refusals = new Map<string, { readonly count: number; readonly untilMs: number }>();
  /** As of the last look. */
  #state: RigState = { devices: new Map(), damage: undefined };

  constructor(wanted: Wanted) {
    this.wanted = wanted;
  }

  look(): Sight[] {
    const flocks = readFlocks();
    this.#state = readState(this.wanted.runDir);
    return this.wanted.devices.map((device) => {
      const view = lookAt(device, this.wanted.runDir, flocks, this.#state);
      if (view.state !== 'free') {
        // Whoever refused us can be seen now.
        this.#refusals.delete(device.name);
        this.#obstacles.delete(device.name);
      }
      return { device, view };
    });
  }

  /**
   * The lease of the first free device that `mayTake` allows, least recently used first.
   * Undefined when there is none, or others were faster.
   */
  tryTake(sights: readonly Sight[], mayTake: (sight: Sight) => boolean): Lease | undefined {
    const free = sights.filter(({ view }) => view.state === 'free').filter((sight) => mayTake(sight));
    const lastUsed = ({ view }: Sight): number => (view.state === 'free' ? view.lastUsedMs : 0);
    for (const sight of free.sort((a, b) => lastUsed(a) - lastUsed(b))) {
      const lease = this.#tryTakeOne(sight);
      if (lease) return lease;
    }
    return undefined;
  }

  /** @throws {RigError} blame `hardware` when none of the devices can be used, however long one waits */
  refuseUnusable(sights: readonly Sight[]): void {
    const problems = sights.map(({ view }) => (view.state === 'missing' ? view.problem.text : undefined));
    const [first] = problems;
    if (first === undefined || problems.includes(undefined)) return;
    const others =
      problems.length > 1 ? ` (and ${problems.length - 1} more of type ${this.wanted.type} alike)` : '';
    throw new RigError('hardware', `${sights[0]?.device.name}: ${first}${others}`);
  }

  /** `uno1 is held by pid 812 (…) of ann since 12:03:04; uno2 …`, at most three of them. */
  describe(sights: readonly Sight[]): string {
    const shown = sights.slice(0, 3).map(({ device, view }) => {
      const obstacle = view.state === 'free' ? this.#obstacles.get(device.name) : undefined;
      if (view.state === 'free' && !obstacle) return `${device.name} is free, for those who came before`;
      return describeHolder(device, obstacle ?? view);
    });
    return [...shown, ...(sights.length > 3 ? [`${sights.length - 3} more`] : [])].join('; ');
  }

  /** `; free in about 3 min` for the waiter at `position`; empty when nothing is known that a guess could rest on. */
  describeWait(sights: readonly Sight[], position: number): string {
    const prospects = sights.map((sight) => this.#prospectOf(sight)).filter((each) => each !== undefined);
    const ms = prospects.length > 0 ? estimateMs(prospects, position) : undefined;
    return ms === undefined ? '' : `; ${describeEstimate(ms)}`;
  }

  /** Undefined for a device of which nobody can say when it comes free. */
  #prospectOf({ device, view }: Sight): Prospect | undefined {
    const leases = this.#state.devices.get(device.name)?.leases ?? [];
    if (view.state === 'free') return { leases, heldForMs: Number.POSITIVE_INFINITY };
    if (view.state !== 'held' || !view.record) return undefined;
    return { leases, heldForMs: Math.max(0, Date.now() - view.record.sinceMs) };
  }

  #tryTakeOne({ device, view }: Sight): Lease | undefined {
    if (view.state !== 'free' || this.#isPausing(device)) return undefined;
    const { runDir, command, parent } = this.wanted;
    const { places } = view;
    const result = tryLockDevice(places, runDir);
    if (result.lock) {
      const holdings = [{ role: undefined, device }] as const;
      return beginLease({ holdings: [...holdings], places, lock: result.lock, runDir, command, parent });
    }
    this.#obstacles.set(device.name, this.#obstacle(result.by, places));
    if (result.by === 'foreigner' && holderOf(places) === undefined) this.#pause(device);
    return undefined;
  }

  /** A holder in another pid namespace is only found by trying. */
  #obstacle(by: LockRefusal['by'], places: readonly Place[]): DeviceView {
    const { runDir } = this.wanted;
    switch (by) {
      case 'lease': {
        const records = runDir ? places.map((place) => readLeaseFile(runDir, place)) : [];
        const record = records.find((each) => each && each.releasedAtMs === undefined);
        return { state: 'held', places, record };
      }
      case 'foreigner':
        return { state: 'foreign', places, pid: holderOf(places) ?? 0 };
      case 'unplug': {
        const path = places[0]?.path ?? '';
        return { state: 'missing', problem: { path, text: `${path}: went away while it was opened` } };
      }
    }
  }

  #isPausing(device: PooledDevice): boolean {
    return performance.now() < (this.#refusals.get(device.name)?.untilMs ?? 0);
  }

  #pause(device: PooledDevice): void {
    const count = (this.#refusals.get(device.name)?.count ?? 0) + 1;
    const pauseMs = count === 1 ? FIRST_REFUSAL_PAUSE_MS : LATER_REFUSAL_PAUSE_MS;
    this.#refusals.set(device.name, { count, untilMs: performance.now() + pauseMs });
  }
}

function holderOf(places: readonly Place[]): number | undefined {
  const flocks = readFlocks();
  return places.map((place) => flocks.holderOf(place)).find((pid) => pid !== undefined);
}
