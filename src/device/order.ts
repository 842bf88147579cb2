/** The order of the queue: the more urgent first, then who came first. Pure, and the same for everybody who looks. */

export const USUAL_PRIORITY = 5;
const HIGHEST_PRIORITY = 9;

/** 0 to 9; 9 is the most urgent. */
export function isPriority(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= HIGHEST_PRIORITY;
}

/** Each raises a waiter by one step, up to the highest: then nobody who comes later is in front of it any more. */
const AGEING_STEP_MS = 10 * 60_000;

/** What decides where a waiter stands. */
export interface Standing {
  /** Counts the tickets in the order in which they were drawn; two that were drawn at once may share one. */
  readonly number: number;
  readonly priority: number;
  /** By the clock of {@link queueClockMs}. */
  readonly drawnMs: number;
  /** Decides between two of the same number. */
  readonly name: string;
}

/**
 * `<number>-<priority>-<drawn>-<pid>-<random>`: the name of a ticket says all that decides its place, so that who wakes
 * the next waiter need not read them all.
 */
const NAME = /^(\d{10})-(\d)-(\d{1,15})-\d+-[a-z0-9]+$/;

/** The last of ten digits: only a file that is no ticket of ours can have it, and it must not push ours out of the queue. */
const LAST_NUMBER = 9_999_999_999;

/** Behind all of `others` with the same priority, under a name that no other ticket has. */
export function nextStanding(others: readonly Standing[], priority: number, nowMs: number): Standing {
  const number = Math.min(Math.max(0, ...others.map((each) => each.number)) + 1, LAST_NUMBER);
  const drawnMs = Math.floor(nowMs);
  const random = Math.random().toString(36).slice(2, 10);
  const name = [String(number).padStart(10, '0'), priority, drawnMs, process.pid, random].join('-');
  return { number, priority, drawnMs, name };
}

/** Undefined for the name of a file that is no ticket. */
export function standingOf(name: string): Standing | undefined {
  const [, number, priority, drawnMs] = NAME.exec(name) ?? [];
  if (number === undefined) return undefined;
  return { number: Number(number), priority: Number(priority), drawnMs: Number(drawnMs), name };
}

/** Whoever asks without a ticket would get the last one of its priority. */
export function newcomer(priority: number, nowMs: number): Standing {
  return { number: Number.POSITIVE_INFINITY, priority, drawnMs: nowMs, name: '' };
}

/** Negative when `a` is in front of `b` at that moment of {@link queueClockMs}. */
export function compareStanding(a: Standing, b: Standing, nowMs: number): number {
  const byUrgency = urgencyOf(b, nowMs) - urgencyOf(a, nowMs);
  if (byUrgency !== 0) return byUrgency;
  if (a.number !== b.number) return a.number < b.number ? -1 : 1;
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

/**
 * Milliseconds that every process of the host counts alike and nobody can set, unlike the time of day.
 * Source: clock_gettime(2), CLOCK_MONOTONIC; it stands still while the host is suspended, as everybody's turn does.
 */
export function queueClockMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function urgencyOf({ priority, drawnMs }: Standing, nowMs: number): number {
  const steps = Math.floor(Math.max(0, nowMs - drawnMs) / AGEING_STEP_MS);
  return Math.min(priority + steps, HIGHEST_PRIORITY);
}
