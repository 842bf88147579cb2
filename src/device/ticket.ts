/** Tickets: one file a waiter, whose flock says that the waiter lives and whose name says where it stands. */

import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { RigError, reasonOf } from '../base/errors.ts';
import { readShared } from '../base/shared-file.ts';
import { tryFlock } from '../native/flock.ts';
import { isFlocked } from './lease-file.ts';
import { compareStanding, nextStanding, queueClockMs, type Standing, standingOf } from './order.ts';
import { wakeWaiter } from './wake.ts';

/** What a ticket says. */
const TicketContent = v.looseObject({
  pid: v.number(),
  startTicks: v.number(),
  user: v.string(),
  /** As typed: `esp32`. */
  request: v.string(),
  /**
   * For each device that it wants, all of which it takes together, the devices that would serve: of each the names of
   * its places, and its paths as configured, for what is not there yet.
   */
  wants: v.array(v.array(v.array(v.string()))),
  sinceMs: v.number(),
  command: v.string(),
});
export type TicketContent = v.InferOutput<typeof TicketContent>;

/** Writing a ticket takes less than a millisecond. */
const ABANDONED_AFTER_MS = 60_000;

export interface Ticket extends Pick<Standing, 'name'> {
  readonly content: TicketContent;
}

/** Our own place in the queue; gone with this process, however that ends. */
export class OwnTicket implements Disposable {
  readonly standing: Standing;
  readonly path: string;
  #fd: number | undefined;

  constructor(standing: Standing, path: string, fd: number) {
    this.standing = standing;
    this.path = path;
    this.#fd = fd;
  }

  /** False once somebody has removed it. */
  isThere(): boolean {
    return existsSync(this.path);
  }

  /** Twice is fine. */
  withdraw(): void {
    if (this.#fd === undefined) return;
    try {
      unlinkSync(this.path);
    } catch {
      // removed by somebody else
    }
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.withdraw();
  }
}

/**
 * Joins the queue behind all of the same priority. The ticket is flocked before anybody can see it.
 *
 * @throws {RigError} blame `unavailable` when it cannot be written
 */
export function drawTicket(queueFolder: string, priority: number, content: TicketContent): OwnTicket {
  const standing = nextStanding(standingsIn(queueFolder), priority, queueClockMs());
  const { name } = standing;
  const scratch = join(queueFolder, `.${name}`);
  const path = join(queueFolder, name);
  let fd: number | undefined;
  try {
    removeAbandonedScratch(queueFolder);
    fd = openSync(scratch, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o664);
    fchmodSync(fd, 0o664); // whatever the umask is: others look whether we live
    tryFlock(fd);
    writeSync(fd, `${JSON.stringify(content)}\n`);
    renameSync(scratch, path);
    return new OwnTicket(standing, path, fd);
  } catch (error) {
    rmSync(scratch, { force: true });
    if (fd !== undefined) closeSync(fd);
    throw new RigError('unavailable', `${queueFolder}: cannot write a ticket: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** The queue as one waiter sees it. Contents are read once: a ticket never changes. */
export class TicketLine {
  readonly #folder: string;
  readonly #contents = new Map<string, TicketContent | undefined>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Tickets of living waiters in front of `own`, or all, in order; what dead ones left is removed.
   *
   * @throws {RigError} blame `unavailable` when somebody has removed the queue
   */
  living(own?: Standing): Ticket[] {
    const nowMs = queueClockMs();
    return this.#inOrder(nowMs)
      .filter((each) => own === undefined || compareStanding(each, own, nowMs) < 0)
      .map(({ name }) => this.#ticket(name))
      .filter((ticket) => ticket !== undefined)
      .filter((ticket) => this.isAlive(ticket.name));
  }

  /** Has the first living waiter that wants one of these places look at once; of those behind `own`, where that is given. */
  wakeFirst(claims: readonly string[], own?: Standing): void {
    const nowMs = queueClockMs();
    for (const each of this.#inOrder(nowMs)) {
      if (own && compareStanding(each, own, nowMs) <= 0) continue;
      const ticket = this.#ticket(each.name);
      if (!ticket || !claimsAny(ticket, claims) || !this.isAlive(each.name)) continue;
      wakeWaiter(join(this.#folder, each.name));
      return;
    }
  }

  /** Whether its waiter still waits; a dead one's ticket is removed where that is permitted. */
  isAlive(name: string): boolean {
    const path = join(this.#folder, name);
    if (isFlocked(path)) return true;
    try {
      unlinkSync(path);
    } catch {
      // gone already, or another user's: it is ignored all the same
    }
    return false;
  }

  #inOrder(nowMs: number): Standing[] {
    const standings = standingsIn(this.#folder).sort((a, b) => compareStanding(a, b, nowMs));
    const names = new Set(standings.map(({ name }) => name));
    for (const name of this.#contents.keys()) if (!names.has(name)) this.#contents.delete(name);
    return standings;
  }

  /** Undefined for what is not a ticket: nobody waits behind it. */
  #ticket(name: string): Ticket | undefined {
    if (!this.#contents.has(name)) this.#contents.set(name, readTicket(join(this.#folder, name)));
    const content = this.#contents.get(name);
    return content && { name, content };
  }
}

export function claimsAny({ content }: Ticket, claims: readonly string[]): boolean {
  return content.wants.some((want) => want.some((device) => device.some((claim) => claims.includes(claim))));
}

/** A waiter that was killed while it wrote its ticket leaves the scratch file, which nobody else would remove. */
function removeAbandonedScratch(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => standingOf(each.slice(1)))) {
    const path = join(folder, name);
    try {
      if (Date.now() - statSync(path).mtimeMs > ABANDONED_AFTER_MS) unlinkSync(path);
    } catch {
      // finished meanwhile, or another user's
    }
  }
}

/** @throws {RigError} blame `unavailable` when somebody has removed the queue */
function standingsIn(folder: string): Standing[] {
  try {
    return readdirSync(folder)
      .map((name) => standingOf(name))
      .filter((standing) => standing !== undefined);
  } catch (error) {
    throw new RigError('unavailable', `${folder}: cannot read the queue: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function readTicket(path: string): TicketContent | undefined {
  try {
    const result = v.safeParse(TicketContent, JSON.parse(readShared(path)));
    return result.success ? result.output : undefined;
  } catch {
    return undefined; // withdrawn meanwhile, or not written by us
  }
}
