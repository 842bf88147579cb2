/** Tickets: one file a waiter, whose flock says that the waiter lives and whose name says where it stands. */

import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { oneLine } from '../base/one-line.ts';
import { openSharedToRead, readShared } from '../base/shared-file.ts';
import { tryFlock } from '../native/flock.ts';
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
    writeFileSync(fd, `${JSON.stringify(content)}\n`); // all of it, or ENOSPC
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

/**
 * The queue as one waiter sees it. Contents are read once: a ticket never changes.
 *
 * A ticket counts while its flock is held and it can be understood, whoever owns the file: its pid and its owner mean
 * something else in another container's namespaces, so neither can prove that it is false. What does not count is said
 * once: what is no ticket, which nobody removes; one whose waiter has ended without taking it back (it was killed), which
 * is removed; and one of those that this user may not remove, which is left to its owner.
 */
export class TicketLine {
  readonly #folder: string;
  readonly #say: (text: string) => void;
  readonly #contents = new Map<string, TicketContent | undefined>();
  readonly #named = new Set<string>();

  /** `say` is told about each file that is ignored. */
  constructor(folder: string, say: (text: string) => void = () => {}) {
    this.#folder = folder;
    this.#say = say;
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

  /** Whether somebody waits, or did until killed. @throws {RigError} blame `unavailable` when the queue was removed */
  hasAny(): boolean {
    return standingsIn(this.#folder).length > 0;
  }

  /** Has the first living waiter that wants one of these places look at once; of those behind `own`, where that is given. */
  wakeFirst(claims: readonly string[], own?: Standing): void {
    const nowMs = queueClockMs();
    for (const each of this.#inOrder(nowMs)) {
      if (own && compareStanding(each, own, nowMs) <= 0) continue;
      const ticket = this.#ticket(each.name);
      const path = join(this.#folder, each.name);
      if (!ticket || !claimsAny(ticket, claims) || stateOf(path) !== 'held') continue;
      wakeWaiter(path);
      return;
    }
  }

  /** Whether its waiter still waits; a dead one's ticket is removed where that is permitted. */
  isAlive(name: string): boolean {
    const path = join(this.#folder, name);
    const state = stateOf(path);
    if (state === 'held') return true;
    if (state === 'gone') return false;
    const content = this.#contents.get(name);
    const whose = content
      ? ` (pid ${content.pid} of ${oneLine(content.user)}, for ${oneLine(content.request)})`
      : '';
    const ended = `its waiter${whose} has ended`;
    try {
      unlinkSync(path);
      this.#ignore(name, ended);
    } catch (error) {
      // Another waiter was faster, and has said so.
      if (errnoCode(error) === 'ENOENT') return false;
      this.#ignore(
        name,
        `${ended}, and only its owner, user ${state.uid}, can remove it (${reasonOf(error)})`,
      );
    }
    return false;
  }

  #inOrder(nowMs: number): Standing[] {
    const standings = standingsIn(this.#folder).sort((a, b) => compareStanding(a, b, nowMs));
    const names = new Set(standings.map(({ name }) => name));
    for (const name of this.#contents.keys()) if (!names.has(name)) this.#contents.delete(name);
    return standings;
  }

  #ignore(name: string, why: string): void {
    if (this.#named.has(name)) return;
    this.#named.add(name);
    this.#say(`queue: ignored ticket ${name}: ${why}`);
  }

  /** Undefined for what is not a ticket: nobody waits behind it. */
  #ticket(name: string): Ticket | undefined {
    if (!this.#contents.has(name)) this.#contents.set(name, this.#read(name));
    const content = this.#contents.get(name);
    return content && { name, content };
  }

  #read(name: string): TicketContent | undefined {
    const path = join(this.#folder, name);
    try {
      return v.parse(TicketContent, JSON.parse(readShared(path)));
    } catch (error) {
      const code = errnoCode(error);
      if (code === 'ENOENT') return undefined; // withdrawn meanwhile
      this.#ignore(
        name,
        code === undefined
          ? `it is not one of ours; remove ${path}`
          : `it cannot be read: ${reasonOf(error)}`,
      );
      return undefined;
    }
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

/** Of a ticket that nobody holds any more, who owns it. */
function stateOf(path: string): 'held' | 'gone' | { readonly uid: number } {
  let fd: number;
  try {
    fd = openSharedToRead(path);
  } catch {
    return 'gone'; // or never one of ours
  }
  try {
    if (!tryFlock(fd, 'shared')) return 'held';
    const { nlink, uid } = fstatSync(fd);
    return nlink === 0 ? 'gone' : { uid }; // who withdraws one removes it before letting go of it
  } finally {
    closeSync(fd);
  }
}
