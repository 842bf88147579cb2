/** Whose turn it is: which of the free devices are left for one waiter by those who stand in front of it. */

import { assign, groupsOf } from './assignment.ts';
import type { PooledDevice } from './pool.ts';
import type { Ticket } from './ticket.ts';

/** Whoever could take what it wants, and does not (stopped, swapped out), is overtaken after that long. */
const CLAIM_WITHIN_MS = 1000;

/** A device that nobody has. */
export interface FreeDevice {
  readonly device: PooledDevice;
  /** As tickets name it. */
  readonly claims: readonly string[];
  /** Milliseconds since the epoch; 0 when nobody is known to have used it. */
  readonly lastUsedMs: number;
}

export interface TurnRequest {
  /** Which devices would do, for each that is wanted. */
  readonly wants: readonly (readonly PooledDevice[])[];
  /** All that are free of those. */
  readonly free: readonly FreeDevice[];
  /** Living tickets, in order. */
  readonly inFront: readonly Ticket[];
  /** Any clock that only goes forward, the same each time. */
  readonly nowMs: number;
}

export interface Turn {
  /** A device for each want; undefined when it is not our turn, or not all is free. */
  readonly devices: readonly PooledDevice[] | undefined;
  /** When somebody in front will have had its time, if nothing happens before. */
  readonly decidedInMs: number;
}

/**
 * Decides by what it has seen before, too: so one for each waiter, asked at each look. Nobody holds anything while it
 * waits. What is free is given in thought to those in front, one after the other, and what is left is ours. So a waiter
 * that needs several devices has those that are free kept for it while it waits for the rest, but only what it needs,
 * and only from those behind it: whoever is first in the one order gets all of its devices before anybody else.
 */
export class TurnKeeper {
  /**
   * Whether nobody has a device of somebody else's ticket. True for one that is unplugged or in quarantine, too: who waits
   * for that is overtaken like everybody who does not take what is free, and no other device lies idle for its sake.
   */
  readonly #isFree: (claims: readonly string[]) => boolean;
  /** Since when we see a device free without a lease in between: two gaps between short leases are not one long one. */
  readonly #freeSince = new Map<string, { readonly atMs: number; readonly lastUsedMs: number }>();
  /** Since when each ticket in front could have what it wants. */
  readonly #couldClaimSince = new Map<string, number>();

  constructor(isFree: (claims: readonly string[]) => boolean) {
    this.#isFree = isFree;
  }

  decide(request: TurnRequest): Turn {
    const { free, inFront, nowMs } = request;
    this.#note(free, nowMs);
    const pool = new FreePool(free);
    const couldClaim = new Set<string>();
    let front = inFront;
    for (;;) {
      const ours = pool.give(front, request.wants);
      if (ours) return { devices: ours, decidedInMs: Number.POSITIVE_INFINITY };
      const able = front.filter((ticket) => this.#couldClaim(ticket, pool));
      for (const { name } of able) {
        couldClaim.add(name);
        if (!this.#couldClaimSince.has(name)) this.#couldClaimSince.set(name, nowMs);
      }
      const patienceMs = able.map((ticket) => this.#sinceMs(ticket, pool) + CLAIM_WITHIN_MS - nowMs);
      const late = able[patienceMs.findIndex((ms) => ms <= 0)];
      if (!late) {
        for (const name of this.#couldClaimSince.keys()) {
          if (!couldClaim.has(name)) this.#couldClaimSince.delete(name);
        }
        return { devices: undefined, decidedInMs: Math.min(...patienceMs, Number.POSITIVE_INFINITY) };
      }
      front = front.filter((ticket) => ticket !== late);
    }
  }

  #note(free: readonly FreeDevice[], nowMs: number): void {
    const names = new Set(free.map(({ device }) => device.name));
    for (const name of this.#freeSince.keys()) if (!names.has(name)) this.#freeSince.delete(name);
    for (const { device, lastUsedMs } of free) {
      if (this.#freeSince.get(device.name)?.lastUsedMs === lastUsedMs) continue;
      this.#freeSince.set(device.name, { atMs: nowMs, lastUsedMs });
    }
  }

  /** Whether all that a ticket wants is free: what it was given of ours, and the rest elsewhere. */
  #couldClaim(ticket: Ticket, pool: FreePool): boolean {
    const given = pool.givenTo(ticket);
    if (given.every((each) => each === undefined)) return false; // it stands in nobody's way
    const missing = ticket.content.wants.filter((_want, index) => given[index] === undefined);
    const elsewhere = missing.map((want) =>
      want.filter((claims) => !pool.has(claims) && this.#isFree(claims)).map((claims) => claims.join('\n')),
    );
    return assign(elsewhere).every((each) => each !== undefined);
  }

  #sinceMs(ticket: Ticket, pool: FreePool): number {
    const free = pool.givenTo(ticket).flatMap((group) => (group === undefined ? [] : pool.namesOf(group)));
    const times = free.map((name) => this.#freeSince.get(name)?.atMs ?? 0);
    return Math.max(this.#couldClaimSince.get(ticket.name) ?? 0, ...times);
  }
}

/** The free devices, those of one lock as one: who has one of these keeps the others from everybody. */
class FreePool {
  /** The one that was used longest ago comes first. */
  readonly #free: readonly FreeDevice[];
  readonly #groups: readonly number[];
  readonly #given = new Map<string, readonly (number | undefined)[]>();

  constructor(free: readonly FreeDevice[]) {
    this.#free = [...free].sort((a, b) => a.lastUsedMs - b.lastUsedMs);
    this.#groups = groupsOf(this.#free.map(({ claims }) => claims));
  }

  /** Gives to `front`, in order, then to us. Undefined unless we get all that we want. */
  give(front: readonly Ticket[], wants: TurnRequest['wants']): PooledDevice[] | undefined {
    const theirs = front.map(({ content }) => content.wants.map((want) => this.#groupsThatServe(want)));
    const ours = wants.map((devices) => this.#groupsWhere(({ device }) => devices.includes(device)));
    const given = assign([...theirs.flat(), ...ours]);
    this.#given.clear();
    let start = 0;
    for (const { name, content } of front) {
      this.#given.set(name, given.slice(start, start + content.wants.length));
      start += content.wants.length;
    }
    const devices = given.slice(start).map((group, index) => this.#memberOf(group, wants[index] ?? []));
    return devices.every((device) => device !== undefined) ? devices : undefined;
  }

  /** For each of its wants what it got the last time, if anything. */
  givenTo({ name }: Ticket): readonly (number | undefined)[] {
    return this.#given.get(name) ?? [];
  }

  namesOf(group: number): string[] {
    return this.#free
      .filter((_each, index) => this.#groups[index] === group)
      .map(({ device }) => device.name);
  }

  has(claims: readonly string[]): boolean {
    return this.#free.some((each) => each.claims.some((claim) => claims.includes(claim)));
  }

  #groupsThatServe(want: readonly (readonly string[])[]): number[] {
    return this.#groupsWhere(({ claims }) =>
      want.some((device) => device.some((claim) => claims.includes(claim))),
    );
  }

  #groupsWhere(condition: (each: FreeDevice) => boolean): number[] {
    const groups = this.#free.map((each, index) => (condition(each) ? this.#groups[index] : undefined));
    return [...new Set(groups.filter((group) => group !== undefined))];
  }

  #memberOf(group: number | undefined, devices: readonly PooledDevice[]): PooledDevice | undefined {
    const index = this.#free.findIndex(
      ({ device }, at) => this.#groups[at] === group && devices.includes(device),
    );
    return this.#free[index]?.device;
  }
}
