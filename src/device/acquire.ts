/** Gets the devices that are wanted: all or none, at once when they are free and nobody in front wants them. */

import { readFlocks } from '../base/proc-locks.ts';
import { beginLease, type Holding, type Lease } from './lease.ts';
import { readLeaseFile } from './lease-file.ts';
import { type DeviceView, glanceAt, isUnclaimed, lookAt } from './look.ts';
import { claimsOf, type Place } from './place.ts';
import type { PooledDevice } from './pool.ts';
import type { RunDir } from './run-dir.ts';
import { type RigState, readState } from './state.ts';
import type { Ticket } from './ticket.ts';
import { type LockRefusal, tryLockDevice } from './tty-lock.ts';
import { type FreeDevice, TurnKeeper } from './turn.ts';
import type { Want } from './want.ts';

/**
 * After a refusal that no look explains: first a short pause, for somebody who only tried the lock; then a longer one,
 * for a holder whom this pid namespace hides, because each of our tries opens the tty and may reset the board.
 */
const FIRST_REFUSAL_PAUSE_MS = 100;
const LATER_REFUSAL_PAUSE_MS = 2000;

export interface Wanted {
  /** All of them together; the first is the one without a role. */
  readonly wants: readonly [Want, ...Want[]];
  /** 0–9; 9 is served first. */
  readonly priority: number;
  readonly command: string;
  readonly parent: string | undefined;
  /** What the leases that we run under hold: it cannot come free before we end. */
  readonly ancestorClaims: readonly string[];
  readonly runDir: RunDir | undefined;
}

export interface Sight {
  readonly device: PooledDevice;
  readonly view: DeviceView;
  /** What would stand between it and us, as tickets name it. */
  readonly claims: readonly string[];
}

/** What came of a look: a lease, or how long nothing will change unless somebody tells. */
export interface Attempt {
  readonly lease: Lease | undefined;
  /** When somebody in front will have had its time, or we may try again what refused us. */
  readonly decidedInMs: number;
  /** Devices that looked free, and were not to be had. */
  readonly refused: readonly Sight[];
}

/** Looks at the devices that are wanted, and tries to take them. */
export class Acquisition {
  readonly wanted: Wanted;
  readonly #devices: readonly PooledDevice[];
  readonly #turns = this.#turnKeeper();
  /** As of the last look. */
  #state: RigState = { devices: new Map(), damage: undefined };
  /** What the last try to take a device that looked free ran into. */
  readonly #obstacles = new Map<string, DeviceView>();
  readonly #refusals = new Map<string, { readonly count: number; readonly untilMs: number }>();

  constructor(wanted: Wanted) {
    this.wanted = wanted;
    this.#devices = [...new Set(wanted.wants.flatMap(({ devices }) => devices))];
  }

  look(): Sight[] {
    const flocks = readFlocks();
    this.#state = readState(this.wanted.runDir);
    return this.#devices.map((device) => {
      const view = lookAt(device, this.wanted.runDir, flocks, this.#state);
      if (view.state !== 'free') {
        // Whoever refused us can be seen now.
        this.#refusals.delete(device.name);
        this.#obstacles.delete(device.name);
      }
      return { device, view, claims: claimsOf(device, view.state === 'missing' ? [] : view.places) };
    });
  }

  /** What can be told at once of what was just released; the kernel takes its time to show the flocks of all. */
  #glance(): Sight[] {
    const { runDir } = this.wanted;
    if (!runDir) return [];
    return this.#devices.flatMap((device) => {
      const view = glanceAt(device, runDir);
      if (!view || view.state === 'missing') return [];
      return [{ device, view, claims: claimsOf(device, view.places) }];
    });
  }

  /**
   * Takes what is free and not for those in front, of several the least recently used. `turns` remembers how long those
   * in front let it lie.
   */
  tryTake(sights: readonly Sight[], inFront: readonly Ticket[], turns = this.#turns): Attempt {
    const refused: Sight[] = [];
    for (;;) {
      const free = sights
        .filter((sight) => !refused.includes(sight) && !this.#isPausing(sight.device))
        .map((sight) => freeDevice(sight))
        .filter((each) => each !== undefined);
      const wants = this.wanted.wants.map(({ devices }) => devices);
      const turn = turns.decide({ wants, free, inFront, nowMs: performance.now() });
      if (!turn.devices) {
        return { lease: undefined, decidedInMs: Math.min(turn.decidedInMs, this.#pauseMs(sights)), refused };
      }
      const chosen = turn.devices.map((device) => sights.find((sight) => sight.device === device));
      const result = this.#tryTakeAll(chosen.filter((sight) => sight !== undefined));
      if (result.lease) return { lease: result.lease, decidedInMs: 0, refused };
      refused.push(...result.refused);
    }
  }

  /** Takes what was just released, if all in front leave it to us; what else is free it does not see. */
  tryTakeAtOnce(inFront: (sights: readonly Sight[]) => readonly Ticket[]): {
    readonly lease: Lease | undefined;
    /** What else was just released. */
    readonly left: readonly Sight[];
  } {
    const sights = this.#glance();
    const { lease } = this.tryTake(sights, inFront(sights), this.#turnKeeper());
    const isOurs = (device: PooledDevice): boolean =>
      lease?.holdings.some((holding) => holding.device === device) ?? false;
    return { lease, left: sights.filter(({ device }) => !isOurs(device)) };
  }

  /** What is known of the devices from before, as of the last look. */
  get state(): RigState {
    return this.#state;
  }

  /** What was in the way of the last try, where the look shows nothing. */
  obstacleOf(device: PooledDevice): DeviceView | undefined {
    return this.#obstacles.get(device.name);
  }

  #turnKeeper(): TurnKeeper {
    return new TurnKeeper(
      (claims) => this.wanted.runDir !== undefined && isUnclaimed(claims, this.wanted.runDir, readFlocks()),
    );
  }

  /** All or none. */
  #tryTakeAll(
    chosen: readonly Sight[],
  ): { readonly lease: Lease } | { readonly lease?: undefined; readonly refused: readonly Sight[] } {
    const { wants, runDir, command, parent } = this.wanted;
    const places = chosen
      .flatMap(({ view }) => (view.state === 'free' ? view.places : []))
      .sort((a, b) => (a.name < b.name ? -1 : 1)); // one order for everybody, whatever devices they are of
    const result = tryLockDevice(places, runDir);
    if (result.lock) {
      const [first, ...others] = chosen.map(({ device }, index) => ({ role: wants[index]?.role, device }));
      const holdings: [Holding, ...Holding[]] = [first as Holding, ...others];
      return { lease: beginLease({ holdings, places, lock: result.lock, runDir, command, parent }) };
    }
    return { refused: this.#findRefused(chosen, result.by) };
  }

  /** One lock of several was refused, and nobody says whose: it shows, or it is hidden from us and may be any. */
  #findRefused(chosen: readonly Sight[], by: LockRefusal['by']): readonly Sight[] {
    const flocks = readFlocks();
    const taken = chosen.filter(({ device }) => lookAt(device, this.wanted.runDir, flocks).state !== 'free');
    const refused = taken.length > 0 ? taken : chosen;
    for (const { device, view } of refused) {
      const places = view.state === 'free' ? view.places : [];
      this.#obstacles.set(device.name, this.#obstacle(by, places));
      if (by === 'foreigner' && holderOf(places) === undefined) this.#pause(device);
    }
    return refused;
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
        const text = `${path}: went away while it was opened`;
        return { state: 'missing', problem: { blame: 'hardware', path, text } };
      }
    }
  }

  /** Until the first of the free devices that refused us may be tried again. */
  #pauseMs(sights: readonly Sight[]): number {
    const pausing = sights.filter(({ device, view }) => view.state === 'free' && this.#isPausing(device));
    const untilMs = pausing.map(({ device }) => this.#refusals.get(device.name)?.untilMs ?? 0);
    return Math.max(0, Math.min(...untilMs, Number.POSITIVE_INFINITY) - performance.now());
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

function freeDevice({ device, view, claims }: Sight): FreeDevice | undefined {
  return view.state === 'free' ? { device, claims, lastUsedMs: view.lastUsedMs } : undefined;
}

function holderOf(places: readonly Place[]): number | undefined {
  const flocks = readFlocks();
  return places.map((place) => flocks.holderOf(place)).find((pid) => pid !== undefined);
}
