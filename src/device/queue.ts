/** Waiting for a device, in the order of arrival, woken by events. */

import { type FSWatcher, watch } from 'node:fs';
import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { readProcess } from '../base/process-table.ts';
import { userName } from '../base/user-name.ts';
import { Acquisition, type Sight, type Wanted } from './acquire.ts';
import type { Lease } from './lease.ts';
import { claimsOf } from './place.ts';
import { WAKE_FILE_NAME } from './run-dir.ts';
import { drawTicket, type OwnTicket, type Ticket, TicketLine } from './ticket.ts';

/** For what raises no event: a waiter or holder that was killed together with its guard. */
const SAFETY_CHECK_MS = 1000;

/** Where the kernel gives no watch, looking is all there is. */
const CHECK_WITHOUT_WATCH_MS = 250;

/** A foreign unlock raises no event; only who is next asks. */
const FOREIGN_CHECK_MS = 100;

/** Each waiter in front that lets a free device lie gets this long to take it. */
const CLAIM_WITHIN_MS = 1000;

/** A queue that moves fast does not fill the log. */
const SAY_AT_MOST_EVERY_MS = 300;

export interface WaitOptions {
  /** 0 tries once; `Infinity` waits for ever. */
  readonly waitMs: number;
  readonly stop: AbortSignal;
  readonly say: (text: string) => void;
}

/**
 * The lease of one of the devices that are wanted.
 *
 * @throws {RigError} blame `busy` when none came free in time, `hardware` when none can be used
 */
export async function acquire(wanted: Wanted, options: WaitOptions): Promise<Lease> {
  const acquisition = new Acquisition(wanted);
  const sights = acquisition.look();
  acquisition.refuseUnusable(sights);
  const { runDir } = wanted;
  const line = runDir && new TicketLine(runDir.queue, options.say);
  const isAnyFree = sights.some(({ view }) => view.state === 'free');
  const inFront = isAnyFree && line ? line.living() : [];
  const lease = acquisition.tryTake(sights, (sight) => claimants(inFront, sight).length === 0);
  if (lease) return lease;
  if (!runDir || !line || options.waitMs === 0) {
    throw new RigError('busy', `no free device of type ${wanted.type}: ${acquisition.describe(sights)}`);
  }
  using waiter = new Waiter(acquisition, runDir.queue, line, options);
  return await waiter.lease();
}

/** The tickets in front that want this device too. */
function claimants(tickets: readonly Ticket[], { device }: Sight): Ticket[] {
  const claims = claimsOf(device);
  return tickets.filter(({ content }) => content.places.some((each) => claims.includes(each)));
}

class Waiter implements Disposable {
  readonly #acquisition: Acquisition;
  readonly #folder: string;
  readonly #line: TicketLine;
  readonly #options: WaitOptions;
  readonly #alarm = new Alarm();
  readonly #watcher: FSWatcher | undefined;
  /** When we first saw a device free since its last lease: two gaps between short leases are not one long one. */
  readonly #freeSince = new Map<string, { readonly atMs: number; readonly lastUsedMs: number }>();
  readonly #startedMs = performance.now();
  #ticket: OwnTicket;
  /** Living tickets in front that want any of our devices, as of the last full look. */
  #inFront: readonly Ticket[] = [];
  #hasLineMoved = true;
  #said = '';
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(acquisition: Acquisition, folder: string, line: TicketLine, options: WaitOptions) {
    this.#acquisition = acquisition;
    this.#folder = folder;
    this.#line = line;
    this.#options = options;
    // Before the first look: what happens after it is not missed.
    this.#watcher = this.#watch();
    this.#ticket = this.#draw();
  }

  async lease(): Promise<Lease> {
    const { stop, waitMs } = this.#options;
    const ring = (): void => this.#alarm.ring();
    stop.addEventListener('abort', ring);
    try {
      for (;;) {
        stop.throwIfAborted();
        const sights = this.#look();
        const lease = this.#needsFullLook(sights) ? this.#tryTake(sights) : undefined;
        if (lease) return lease;
        const leftMs = this.#startedMs + waitMs - performance.now();
        if (leftMs <= 0) throw this.#timeIsUp(sights);
        this.#report(sights);
        await this.#alarm.rings(Math.min(this.#pauseMs(sights), leftMs));
      }
    } finally {
      stop.removeEventListener('abort', ring);
    }
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#ticket.withdraw();
  }

  #look(): Sight[] {
    const sights = this.#acquisition.look();
    for (const { device, view } of sights) {
      if (view.state !== 'free') {
        this.#freeSince.delete(device.name);
      } else if (this.#freeSince.get(device.name)?.lastUsedMs !== view.lastUsedMs) {
        this.#freeSince.set(device.name, { atMs: performance.now(), lastUsedMs: view.lastUsedMs });
      }
    }
    return sights;
  }

  #tryTake(sights: readonly Sight[]): Lease | undefined {
    if (!this.#ticket.isThere()) this.#ticket = this.#draw(); // somebody sent us to the end of the queue
    this.#hasLineMoved = false;
    const living = this.#line.living(this.#ticket.name);
    this.#inFront = living.filter((ticket) => sights.some((sight) => claimants([ticket], sight).length > 0));
    return this.#acquisition.tryTake(sights, (sight) => this.#mayTake(sight));
  }

  /** Nobody is in front, or they all had their time to take it. */
  #mayTake(sight: Sight): boolean {
    const freeForMs =
      performance.now() - (this.#freeSince.get(sight.device.name)?.atMs ?? Number.POSITIVE_INFINITY);
    const inFront = claimants(this.#inFront, sight).length;
    return inFront === 0 || freeForMs >= inFront * CLAIM_WITHIN_MS;
  }

  /** The small look that each check affords: only the nearest ticket in front, and what we might take. */
  #needsFullLook(sights: readonly Sight[]): boolean {
    if (this.#hasLineMoved) return true;
    const nearest = this.#inFront.at(-1);
    if (nearest && !this.#line.isAlive(nearest.name)) return true;
    if (!this.#ticket.isThere()) return true;
    return sights.some((sight) => sight.view.state === 'free' && this.#mayTake(sight));
  }

  #pauseMs(sights: readonly Sight[]): number {
    // Locked by a foreigner, or refused by one although it looked free.
    const isNextAfterForeigner = sights.some(
      (sight) =>
        (sight.view.state === 'foreign' || sight.view.state === 'free') &&
        claimants(this.#inFront, sight).length === 0,
    );
    if (isNextAfterForeigner) return FOREIGN_CHECK_MS;
    return this.#watcher ? SAFETY_CHECK_MS : CHECK_WITHOUT_WATCH_MS;
  }

  #report(sights: readonly Sight[]): void {
    const { type } = this.#acquisition.wanted;
    const text = `waiting for a device of type ${type}, position ${this.#inFront.length + 1}: ${this.#acquisition.describe(sights)}`;
    const now = performance.now();
    if (text === this.#said || now - this.#saidAtMs < SAY_AT_MOST_EVERY_MS) return;
    this.#said = text;
    this.#saidAtMs = now;
    this.#options.say(text + this.#acquisition.describeWait(sights, this.#inFront.length + 1));
  }

  #timeIsUp(sights: readonly Sight[]): RigError {
    const { type } = this.#acquisition.wanted;
    const waited = formatDuration(this.#options.waitMs);
    return new RigError(
      'busy',
      `no free device of type ${type} after ${waited}: ${this.#acquisition.describe(sights)}`,
    );
  }

  #draw(): OwnTicket {
    const { devices, type, command } = this.#acquisition.wanted;
    return drawTicket(this.#folder, {
      pid: process.pid,
      startTicks: readProcess(process.pid)?.startTicks ?? 0,
      user: userName(),
      request: type,
      places: [...new Set(devices.flatMap((device) => claimsOf(device)))],
      sinceMs: Date.now(),
      command,
    });
  }

  /** Undefined when this user has no watch left (fs.inotify.max_user_instances). */
  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(this.#folder, (_event, name) => {
        if (name !== WAKE_FILE_NAME && name !== null && !this.#concerns(name)) return;
        // A device that came free matters to whoever may take it; a ticket that went, to all behind it.
        if (name !== WAKE_FILE_NAME) this.#hasLineMoved = true;
        this.#alarm.ring();
      });
      watcher.on('error', () => {}); // the folder went away: the checks tell
      return watcher;
    } catch {
      return undefined;
    }
  }

  #concerns(name: string): boolean {
    return name === this.#ticket.name || this.#inFront.some((ticket) => ticket.name === name);
  }
}

/** Rings once for any number of reasons since the last time somebody listened. */
export class Alarm {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Resolves as soon as it rings, or after `ms`. */
  async rings(ms: number): Promise<void> {
    if (!this.#hasRung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = undefined;
    this.#hasRung = false;
  }
}
