/** Tickets: one file a waiter, whose flock says that the waiter lives and whose number says when it came. */

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

/** What a ticket says. */
const TicketContent = v.looseObject({
  pid: v.number(),
  startTicks: v.number(),
  user: v.string(),
  /** As typed: `esp32`. */
  request: v.string(),
  /** What would serve it: names of places, and paths as configured, for what is not there yet. */
  places: v.array(v.string()),
  sinceMs: v.number(),
  command: v.string(),
});
export type TicketContent = v.InferOutput<typeof TicketContent>;

/** `<number>-<pid>-<random>`: names in the order of the queue, because the number has leading zeros. */
const NAME = /^(\d{10})-\d+-[a-z0-9]+$/;

/** The last of ten digits: only a file that is no ticket of ours can have it, and it must not push ours out of the queue. */
const LAST_NUMBER = 9_999_999_999;

/** Writing a ticket takes less than a millisecond. */
const ABANDONED_AFTER_MS = 60_000;

export interface Ticket {
  readonly name: string;
  readonly content: TicketContent;
}

/** Our own place in the queue; gone with this process, however that ends. */
export class OwnTicket implements Disposable {
  readonly name: string;
  readonly #path: string;
  #fd: number | undefined;

  constructor(name: string, path: string, fd: number) {
    this.name = name;
    this.#path = path;
    this.#fd = fd;
  }

  /** False once somebody has removed it. */
  isThere(): boolean {
    return existsSync(this.#path);
  }

  /** Twice is fine. */
  withdraw(): void {
    if (this.#fd === undefined) return;
    rmSync(this.#path, { force: true });
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.withdraw();
  }
}

/**
 * Joins the queue at its end. The ticket is flocked before anybody can see it.
 *
 * @throws {RigError} blame `unavailable` when it cannot be written
 */
export function drawTicket(queueFolder: string, content: TicketContent): OwnTicket {
  const numbers = ticketNames(queueFolder).map((name) => Number(name.slice(0, 10)));
  const number = Math.min(Math.max(0, ...numbers) + 1, LAST_NUMBER);
  const random = Math.random().toString(36).slice(2, 10);
  const name = `${String(number).padStart(10, '0')}-${process.pid}-${random}`;
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
    return new OwnTicket(name, path, fd);
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
   * Tickets of living waiters before the one named `before`, or all, in order; what dead ones left is removed.
   *
   * @throws {RigError} blame `unavailable` when somebody has removed the queue
   */
  living(before?: string): Ticket[] {
    return ticketNames(this.#folder)
      .filter((name) => before === undefined || name < before)
      .map((name) => this.#ticket(name))
      .filter((ticket) => ticket !== undefined)
      .filter((ticket) => this.isAlive(ticket.name));
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

  /** Undefined for what is not a ticket: nobody waits behind it. */
  #ticket(name: string): Ticket | undefined {
    if (!this.#contents.has(name)) this.#contents.set(name, readTicket(join(this.#folder, name)));
    const content = this.#contents.get(name);
    return content && { name, content };
  }
}

/** A waiter that was killed while it wrote its ticket leaves the scratch file, which nobody else would remove. */
function removeAbandonedScratch(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => NAME.test(each.slice(1)))) {
    const path = join(folder, name);
    try {
      if (Date.now() - statSync(path).mtimeMs > ABANDONED_AFTER_MS) unlinkSync(path);
    } catch {
      // finished meanwhile, or another user's
    }
  }
}

/** @throws {RigError} blame `unavailable` when somebody has removed the queue */
function ticketNames(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => NAME.test(name))
      .sort();
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
