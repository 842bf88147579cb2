/** Tickets: one file a waiter, whose flock says that the waiter lives and whose number says when it came. */

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
    writeFileSync(fd, `${JSON.stringify(content)}\n`); // all of it, or ENOSPC
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
