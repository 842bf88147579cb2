/** Judges leases from outside: by the lock of the tty, by who has a descriptor of a lock, by what still runs. */

import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readProcessTable } from '../../src/base/process-table.ts';
import { tryFlock, unlock } from '../../src/native/flock.ts';
import type { Bench } from './bench.ts';

const LOOK_EVERY_MS = 5;

/** Status of a command that found another one of its kind alive. */
export const OVERLAP = 99;

/** A command for `sh` that says when it is up, reads whether to leave behind what does not obey TERM, and ends. */
export const TOLD = `echo up; read -r how
  case $how in stray) (trap "" TERM; exec sleep 1000) & esac
  echo down`;

/** A command that holds the witness for its life; all that it starts inherits it. */
export function witnessed(witness: string, command: readonly string[]): string[] {
  return ['flock', '--no-fork', '-n', '-E', String(OVERLAP), witness, ...command];
}

/**
 * Whenever it gets the lock of the tty, no command of a lease may live. While it looks at the witness it keeps the tty
 * locked, so no new command can begin in between.
 */
export class LeaseObserver implements Disposable {
  readonly violations: string[] = [];
  /** Rejects at the first. */
  readonly violation: Promise<never>;
  readonly #ttyFd: number;
  readonly #witnessFd: number;
  readonly #witness: string;
  readonly #timer: NodeJS.Timeout;
  #looks = 0;
  #reject: (reason: Error) => void = () => {};

  constructor(ttyPath: string, witness: string) {
    this.#ttyFd = openTty(ttyPath);
    this.#witness = witness;
    this.#witnessFd = openSync(witness, constants.O_RDONLY | constants.O_CREAT);
    this.violation = new Promise((_resolve, reject) => (this.#reject = reject));
    this.violation.catch(() => {}); // not everybody waits for it
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /** How often the tty was free when it looked. */
  get looks(): number {
    return this.#looks;
  }

  /** Whether the tty is free now. */
  look(): boolean {
    if (!tryFlock(this.#ttyFd)) return false;
    this.#looks += 1;
    if (tryFlock(this.#witnessFd)) unlock(this.#witnessFd);
    else {
      const atMs = Math.round(performance.now());
      this.#violate(`free while a command lives, after ${atMs} ms: ${describeHoldersOf(this.#witness)}`);
    }
    unlock(this.#ttyFd);
    return true;
  }

  #violate(text: string): void {
    this.violations.push(text);
    this.#reject(new Error(text));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    closeSync(this.#ttyFd);
    closeSync(this.#witnessFd);
  }
}

/** Who has the witness open, from whom it descends, and whether by now it is free. */
function describeHoldersOf(witness: string): string {
  const table = readProcessTable();
  const named = (pid: number): string => {
    const found = table.find((each) => each.pid === pid);
    return found
      ? `${pid} ${found.name} ${found.state} since ${found.startTicks}, child of ${found.ppid}`
      : `${pid}`;
  };
  const holders = table
    .filter(({ pid }) => pid !== process.pid && descriptorsOf(pid).some(([, path]) => path === witness))
    .map(({ pid, ppid }) => `${named(pid)} (${named(ppid)})`);
  const isFreeNow = isFree(openSync(witness, constants.O_RDONLY));
  return `${holders.join('; ') || 'nobody has the witness open'}; it is ${isFreeNow ? 'free' : 'locked'} by now`;
}

/** Whether a program that knows only the tty's lock gets it. */
export function isTtyFree(ttyPath: string): boolean {
  return isFree(openTty(ttyPath));
}

/** Whether nobody holds the lease of any place of the bench. */
export function areLeaseFilesFree(bench: Bench): boolean {
  return readdirSync(bench.runDir)
    .filter((name) => name.endsWith('.lease'))
    .every((name) => isFree(openSync(`${bench.runDir}/${name}`, constants.O_RDONLY)));
}

/**
 * Pids of all processes that have a descriptor by which a lease of the bench is locked: each keeps its device.
 * The kernel lists the locks of an open file with each descriptor of it. Source: proc(5), /proc/pid/fdinfo.
 */
export function lockKeepersOf(bench: Bench): number[] {
  const isLockable = (path: string): boolean =>
    bench.boards.some((board) => board.ttyPath === path) ||
    (path.startsWith(bench.runDir) && !path.startsWith(`${bench.runDir}/queue`));
  return readProcessTable()
    .filter(({ pid }) => pid !== process.pid)
    .filter(({ pid }) => descriptorsOf(pid).some(([fd, path]) => isLockable(path) && isLockedBy(pid, fd)))
    .map(({ pid }) => pid);
}

function descriptorsOf(pid: number): [fd: string, path: string][] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => [fd, readLink(`/proc/${pid}/fd/${fd}`)]);
  } catch {
    return []; // ended meanwhile
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // closed meanwhile
  }
}

function isLockedBy(pid: number, fd: string): boolean {
  try {
    return /^lock:/m.test(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'));
  } catch {
    return false; // closed meanwhile
  }
}

function openTty(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
}

function isFree(fd: number): boolean {
  try {
    return tryFlock(fd);
  } finally {
    closeSync(fd);
  }
}
