/** Waiting for devices, in one order a host, woken by events. */

import { dirname, join } from 'node:path';
import { formatDuration } from '../base/duration.ts';
import type { RigError } from '../base/errors.ts';
import { readProcess } from '../base/process-table.ts';
import { userName } from '../base/user-name.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { Acquisition, type Attempt, type Sight, type Wanted } from './acquire.ts';
import { Alarm } from './alarm.ts';
import type { Lease } from './lease.ts';
import { leaseFilePath } from './lease-file.ts';
import { newcomer, queueClockMs, type Standing } from './order.ts';
import type { RunDir } from './run-dir.ts';
import { describeShortage, describeWait, nothingFree, refuseUnusable } from './shortage.ts';
import { claimsAny, drawTicket, type OwnTicket, type Ticket, TicketLine } from './ticket.ts';
import { TicketWatch } from './ticket-watch.ts';
import { describeWants } from './want.ts';

/** For what raises no event: a waiter or holder that was killed together with its guard. */
const SAFETY_CHECK_MS = 1000;

/** Where the kernel gives no watch, looking is all there is. */
const CHECK_WITHOUT_WATCH_MS = 250;

/** A foreign unlock raises no event; only who is next asks. */
const FOREIGN_CHECK_MS = 100;

/** Who is next for nothing looks at all there is only each so many checks, unless something moved. */
const CHECKS_A_LOOK = 10;

/** A queue that moves fast does not fill the log. */
const SAY_AT_MOST_EVERY_MS = 300;

export interface WaitOptions {
  /** 0 tries once; `Infinity` waits for ever. */
  readonly waitMs: number;
  readonly stop: AbortSignal;
  readonly say: (text: string) => void;
  readonly whileWaiting?: (<T>(wait: () => Promise<T>) => Promise<T>) | undefined;
}

/**
 * The lease of the devices that are wanted.
 *
 * @throws {RigError} blame `busy` when they did not come free in time, `hardware` when they cannot be used
 */
export async function acquire(wanted: Wanted, options: WaitOptions): Promise<Lease> {
  const acquisition = new Acquisition(wanted);
  const sights = acquisition.look();
  refuseUnusable(wanted.wants, sights);
  const { runDir } = wanted;
  const line = runDir && new TicketLine(runDir.queue, options.say);
  let inFront: readonly Ticket[] = [];
  if (sights.some(({ view }) => view.state === 'free')) {
    if (line) inFront = contenders(line, wanted, sights, newcomer(wanted.priority, queueClockMs()));
    const { lease } = acquisition.tryTake(sights, inFront);
    if (lease) return lease;
  }
  if (!runDir || !line || options.waitMs === 0)
    throw nothingFree(acquisition, { sights, inFront, after: '' });
  using waiter = new Waiter(acquisition, runDir, line, options);
  const { whileWaiting = (wait) => wait() } = options;
  return await whileWaiting(() => waiter.lease());
}

/**
 * The tickets in front that want any of our devices too. One that waits for what the lease around us holds does not
 * count: it cannot be served before we are, and would wait for us while we wait for it.
 */
function contenders(line: TicketLine, wanted: Wanted, sights: readonly Sight[], own: Standing): Ticket[] {
  const claims = sights.flatMap((sight) => sight.claims);
  const ancestors = new Set(wanted.ancestorClaims);
  return line
    .living(own)
    .filter((ticket) => claimsAny(ticket, claims))
    .filter(
      ({ content }) =>
        !content.wants.some((want) => want.every((device) => device.some((claim) => ancestors.has(claim)))),
    );
}

class Waiter implements Disposable {
  readonly #acquisition: Acquisition;
  readonly #runDir: RunDir;
  readonly #line: TicketLine;
  readonly #options: WaitOptions;
  readonly #alarm = new Alarm();
  readonly #watch: TicketWatch;
  readonly #startedMs = performance.now();
  #ticket: OwnTicket;
  #sights: readonly Sight[] = [];
  #attempt: Attempt = { lease: undefined, decidedInMs: Number.POSITIVE_INFINITY, refused: [] };
  /** As of the last look. */
  #inFront: readonly Ticket[] = [];
  /** What was there at the last look. */
  #seen = '';
  #checksSinceLook = 0;
  /** Somebody who let go of a device took us for the first in its line. */
  #isWoken = false;
  /** What the last look showed may have to be said. */
  #hasNews = false;
  #said = '';
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(acquisition: Acquisition, runDir: RunDir, line: TicketLine, options: WaitOptions) {
    this.#acquisition = acquisition;
    this.#runDir = runDir;
    this.#line = line;
    this.#options = options;
    this.#watch = new TicketWatch({
      onWoken: () => {
        this.#isWoken = true;
        this.#alarm.ring();
      },
      onAdvance: () => this.#alarm.ring(),
    });
    this.#ticket = this.#draw();
  }

  async lease(): Promise<Lease> {
    const { stop, waitMs } = this.#options;
    const ring = (): void => this.#alarm.ring();
    stop.addEventListener('abort', ring);
    try {
      for (let mustLook = true; ; ) {
        stop.throwIfAborted();
        const leftMs = this.#startedMs + waitMs - performance.now();
        if (mustLook || leftMs <= 0 || this.#hasMoved()) {
          const lease = this.#look();
          if (lease) return lease;
          if (leftMs <= 0) throw this.#timeIsUp();
          this.#hasNews = true;
        }
        if (this.#hasNews) this.#report();
        mustLook = await this.#alarm.rings(Math.min(this.#pauseMs(), leftMs));
      }
    } finally {
      stop.removeEventListener('abort', ring);
    }
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#ticket.withdraw();
  }

  /** Looks at everything, and takes what it may. */
  #look(): Lease | undefined {
    const isWoken = this.#isWoken;
    this.#isWoken = false;
    this.#checksSinceLook = 0;
    if (!this.#ticket.isThere()) this.#ticket = this.#draw(); // somebody sent us to the end of the queue
    const inFront = (sights: readonly Sight[]): Ticket[] =>
      contenders(this.#line, this.#acquisition.wanted, sights, this.#ticket.standing);
    const { lease, left } = isWoken
      ? this.#acquisition.tryTakeAtOnce(inFront)
      : { lease: undefined, left: [] };
    if (lease) {
      this.#passOn(left);
      return lease;
    }
    this.#seen = this.#fingerprint();
    this.#sights = this.#acquisition.look();
    this.#inFront = inFront(this.#sights);
    this.#attempt = this.#acquisition.tryTake(this.#sights, this.#inFront);
    if (this.#attempt.lease) return this.#attempt.lease;
    this.#watch.watchInFront(this.#pathOfNearest());
    if (isWoken || this.#attempt.refused.length > 0) this.#passOn(this.#sights);
    return undefined;
  }

  /** What is free and not for us may do for somebody behind us. */
  #passOn(sights: readonly Sight[]): void {
    for (const { view, claims } of sights) {
      if (view.state === 'free') this.#line.wakeFirst(claims, this.#ticket.standing);
    }
  }

  /** The small look, which any number of waiters can afford each second. */
  #hasMoved(): boolean {
    this.#checksSinceLook += 1;
    if (this.#isNextForAny() || this.#checksSinceLook >= CHECKS_A_LOOK) return true;
    if (Number.isFinite(this.#attempt.decidedInMs)) return true; // somebody in front may be late by now
    const nearest = this.#inFront.at(-1);
    if (nearest && !this.#line.isAlive(nearest.name)) return true;
    return this.#fingerprint() !== this.#seen;
  }

  #isNextForAny(): boolean {
    return this.#sights.some(({ claims }) => !this.#inFront.some((ticket) => claimsAny(ticket, claims)));
  }

  /** Changes whenever a lease begins or ends, or the queue does; foreigners leave no trace in it. */
  #fingerprint(): string {
    const files = this.#sights.flatMap(({ view }) =>
      view.state === 'missing' ? [] : view.places.map((place) => leaseFilePath(this.#runDir, place)),
    );
    return [this.#runDir.queue, ...files].map((path) => statIfVisible(path)?.mtimeMs).join();
  }

  #pauseMs(): number {
    // Locked by a foreigner, or refused by one although it looked free.
    const waitsForForeigner = this.#sights.some(
      ({ view, claims }) =>
        view.state === 'foreign' && !this.#inFront.some((ticket) => claimsAny(ticket, claims)),
    );
    if (waitsForForeigner || this.#attempt.refused.length > 0) return FOREIGN_CHECK_MS;
    const checkMs = this.#watch.isWorking ? SAFETY_CHECK_MS : CHECK_WITHOUT_WATCH_MS;
    return Math.min(checkMs, Math.max(0, this.#attempt.decidedInMs));
  }

  #report(): void {
    const { wants } = this.#acquisition.wanted;
    const what = `${wants.length > 1 ? '' : 'a '}${describeWants(wants)}`;
    const position = this.#inFront.length + 1;
    const text = `waiting for ${what}, position ${position}: ${describeShortage(this.#acquisition, this.#sights, this.#inFront)}`;
    const nowMs = performance.now();
    if (text !== this.#said && nowMs - this.#saidAtMs < SAY_AT_MOST_EVERY_MS) return; // at the next check
    this.#hasNews = false;
    if (text === this.#said) return;
    this.#said = text;
    this.#saidAtMs = nowMs;
    this.#options.say(text + describeWait(this.#acquisition, this.#sights, position));
  }

  #timeIsUp(): RigError {
    const after = ` after ${formatDuration(this.#options.waitMs)}`;
    return nothingFree(this.#acquisition, { sights: this.#sights, inFront: this.#inFront, after });
  }

  /** Watched before the first look: what happens after it is not missed. */
  #draw(): OwnTicket {
    const { wants, priority, command } = this.#acquisition.wanted;
    const sights = this.#acquisition.look();
    const claimsOf = (device: Sight['device']): string[] =>
      sights.flatMap((sight) => (sight.device === device ? sight.claims : []));
    const ticket = drawTicket(this.#runDir.queue, priority, {
      pid: process.pid,
      startTicks: readProcess(process.pid)?.startTicks ?? 0,
      user: userName(),
      request: wants.map(({ type }) => type).join(' and '),
      wants: wants.map(({ devices }) => devices.map((device) => claimsOf(device))),
      sinceMs: Date.now(),
      command,
    });
    this.#watch.watchOwn(ticket.path);
    return ticket;
  }

  #pathOfNearest(): string | undefined {
    const nearest = this.#inFront.at(-1);
    return nearest && join(dirname(this.#ticket.path), nearest.name);
  }
}
