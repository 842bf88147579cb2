/** Keeps the ttys of a lease locked: those that go away and come back, and those that were lent to a tool. */

import { setTimeout as delay } from 'node:timers/promises';
import { describeProcess } from '../base/describe-process.ts';
import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { bearsFlock, type FileId, readFlocks } from '../base/proc-locks.ts';
import { readProcessEnvironment } from '../base/process-table.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { ENV } from '../wire/env.ts';
import type { Guard } from './guard.ts';
import type { Lease } from './lease.ts';
import type { Hindrance, LockedPlace } from './locked-place.ts';
import { PathWatch } from './path-watch.ts';
import { survey } from './place.ts';
import type { PooledDevice } from './pool.ts';
import { returnProblem } from './usb-identity.ts';
import { wakeWaiters } from './wake.ts';

/**
 * How often the ttys are asked whether they are still there, and looked for when they are not. An adapter that comes
 * back while its old tty is open gets another name: a board with native USB needs a second or so for a reset.
 */
const LOOK_EACH_MS = 100;

/** For the lock of a lent tty: programs that only try it have it for a moment. */
const RETAKE_WITHIN_MS = 5000;
const RETAKE_EACH_MS = 20;

/** Who has the lock is only found by reading the process table. */
const TRIES_PER_SEARCH = 5;

/** Why a lease has to end though its command goes on. */
export interface Trouble {
  readonly device: string;
  /** As configured. */
  readonly tty: string;
  readonly error: RigError;
  /** By which its command is told. */
  readonly signal: 'SIGHUP' | 'SIGTERM';
}

export interface KeeperHandlers {
  /** Every living process of the command. */
  readonly tree: () => readonly { readonly pid: number }[];
  /** Told once: nothing is kept from then on. */
  readonly onTrouble: (trouble: Trouble) => void;
}

export interface KeeperOptions {
  readonly guard: Pick<Guard, 'relieve'>;
  readonly detail: (text: string) => void;
}

interface KeptTty {
  readonly place: LockedPlace;
  readonly device: PooledDevice;
  /** Locked by its lease file alone, for the whole lease. */
  readonly isAlwaysLent: boolean;
  /** When it was first found missing, by `performance.now`; undefined while it is there. */
  awaySinceMs?: number | undefined;
  /** What the last try to have it again ran into. */
  hindrance?: Hindrance | undefined;
  /** A process of the lease that had the lock when last seen. */
  keptBy?: number | undefined;
}

export class TtyKeeper implements Disposable {
  readonly #lease: Lease;
  readonly #options: KeeperOptions;
  readonly #ttys: readonly KeptTty[];
  readonly #watch = new PathWatch(() => this.#look());
  #handlers: KeeperHandlers | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** `returned`: no tool has them any more, but not every lock is ours again. */
  #state: 'held' | 'lent' | 'returned' | 'over' = 'held';
  /** The guard has other descriptors than the lease. */
  #isGuardStale = false;

  /** From now on the ttys of devices that say `lend: always` are locked by their lease files alone. */
  constructor(lease: Lease, options: KeeperOptions) {
    this.#lease = lease;
    this.#options = options;
    this.#ttys = lease.lock.places
      .filter(({ tty }) => tty !== undefined)
      .map((place) => ({ place, device: lease.deviceOf(place) }))
      // Without lease files nothing at all would keep others out.
      .map((tty) => ({ ...tty, isAlwaysLent: tty.device.lend === 'always' && lease.runDir !== undefined }));
    for (const { place, isAlwaysLent } of this.#ttys) if (isAlwaysLent) place.lend();
  }

  /** Looks after the ttys until disposed. */
  start(handlers: KeeperHandlers): void {
    this.#handlers = handlers;
    this.#timer = setInterval(() => this.#look(), LOOK_EACH_MS).unref(); // whoever has the lease keeps us alive
  }

  /** Drops the locks of the ttys, not those of the lease files. */
  lend(): void {
    if (this.#state === 'over') return;
    this.#state = 'lent';
    for (const { place } of this.#ttys) place.lend();
  }

  /**
   * Resolves once the ttys that were lent are locked and set again, or the lease has to end. What is away may come back
   * as ever. A process of the lease that still has a lock is waited for as long as it lives: `onKept` is told once.
   */
  async takeBack(onKept: (holder: string) => void): Promise<void> {
    if (this.#state === 'over') return;
    this.#state = 'returned';
    let untilMs = performance.now() + RETAKE_WITHIN_MS;
    let hasTold = false;
    for (let tries = 1; !this.#isOver(); tries++) {
      const nowMs = performance.now();
      const missing = this.#ttys.filter((tty) => !this.#retake(tty));
      if (missing.length === 0) {
        this.#state = 'held';
        return;
      }
      if (tries % TRIES_PER_SEARCH === 0) {
        const taken = missing.filter(({ place }) => place.isOpen);
        const stranger = taken.find((tty) => this.#oursWith(tty) === undefined);
        if (!stranger) untilMs = nowMs + RETAKE_WITHIN_MS;
        if (stranger && nowMs >= untilMs)
          return this.#end(foreignTrouble(stranger, 'after a tool had used it'));
        const kept = missing
          .map((tty) => this.#oursWith(tty))
          .find((pid) => pid !== undefined && pid !== process.pid);
        if (kept !== undefined && !hasTold) onKept(describeProcess(kept));
        hasTold ||= kept !== undefined;
      }
      await delay(RETAKE_EACH_MS);
    }
  }

  /** Once the command has ended: what keeps that from being a good end. */
  conclude(): Trouble | undefined {
    if (this.#state === 'over') return undefined;
    this.#handlers = undefined; // too late to tell
    this.#look();
    const gone = this.#ttys.find(
      ({ place, device, awaySinceMs, hindrance }) =>
        !place.isOpen &&
        awaySinceMs !== undefined &&
        (hindrance?.by ?? 'absence') === 'absence' &&
        // A command that had it as its controlling terminal has hung it up by its end.
        (hindrance !== undefined || 'text' in survey(place.path, place.tty) || returnProblem(device)),
    );
    this[Symbol.dispose]();
    return gone && goneTrouble(gone, '');
  }

  [Symbol.dispose](): void {
    this.#state = 'over';
    clearInterval(this.#timer);
    this.#watch[Symbol.dispose]();
  }

  #look(): void {
    if (this.#state === 'over') return;
    // From before the look: whoever was stopped in the middle of one looks once more before time is up.
    const nowMs = performance.now();
    for (const tty of this.#ttys) this.#lookAt(tty, nowMs);
    this.#refreshGuard();
    const away = this.#ttys.filter(({ awaySinceMs }) => awaySinceMs !== undefined);
    this.#watch.follow(away.map(({ place }) => place.path));
    const late = away.find(({ device, awaySinceMs = nowMs }) => nowMs - awaySinceMs >= device.reappearMs);
    if (late) this.#end(lateTrouble(late));
  }

  #lookAt(tty: KeptTty, nowMs: number): void {
    const { place, device } = tty;
    if (place.isHungUp()) this.#close(tty, nowMs);
    if (place.isOpen) return;
    if (device.reappearMs === 0 && !place.isUnmoved()) {
      tty.awaySinceMs ??= nowMs;
      return;
    }
    if (this.#isLeft(tty)) {
      // Whoever has it now opens it, and may be about to lock it.
      const found = survey(place.path, place.tty);
      // A tool may have the board be another USB device for a while; with a lease that always lends, nobody would ever look.
      const other = tty.isAlwaysLent ? returnProblem(device)?.problem : undefined;
      const text = 'text' in found ? found.text : other;
      tty.hindrance = text === undefined ? undefined : { by: 'absence', text };
      tty.awaySinceMs = tty.hindrance && (tty.awaySinceMs ?? nowMs);
      return;
    }
    tty.awaySinceMs ??= nowMs;
    const other = returnProblem(device);
    tty.hindrance = other
      ? { by: 'absence', text: other.problem }
      : place.tryReopen(this.#lease.runDir, this.#lease.record);
    if (!tty.hindrance) {
      tty.awaySinceMs = undefined;
      this.#isGuardStale = true;
      this.#options.detail(`${place.path}: is back, and locked again`);
    } else if (this.#oursWith(tty) !== undefined) {
      tty.awaySinceMs = undefined; // it is there, and no stranger has it
    }
  }

  /**
   * At once: what comes back while its old tty is open anywhere gets another name. It need not have been unplugged:
   * who had it as controlling terminal has hung it up by its end, whichever of the command's processes that was.
   */
  #close(tty: KeptTty, nowMs: number): void {
    tty.place.close();
    tty.awaySinceMs = nowMs;
    tty.hindrance = undefined;
    this.#isGuardStale = true;
    this.#refreshGuard();
    this.#options.detail(`${tty.place.path}: went away`);
  }

  #refreshGuard(): void {
    if (!this.#isGuardStale || !this.#options.guard.relieve()) return;
    this.#isGuardStale = false;
    const { record, runDir, lock } = this.#lease;
    const dropped = lock.places.filter((place) => place.dropFormer(record));
    if (dropped.length > 0) wakeWaiters(runDir);
  }

  /** Whether it is there for others to lock. */
  #isLeft({ isAlwaysLent }: KeptTty): boolean {
    return this.#state === 'lent' || isAlwaysLent;
  }

  /** Whether it is locked; one that is away is looked for by the looks. */
  #retake(tty: KeptTty): boolean {
    if (tty.isAlwaysLent) return true;
    if (!tty.place.isOpen) return false;
    tty.hindrance = tty.place.tryRetake();
    if (tty.hindrance?.by === 'absence') this.#close(tty, performance.now());
    return tty.hindrance === undefined;
  }

  /** The process of the lease that has the lock. Cheap as long as that is the one it was. */
  #oursWith(tty: KeptTty): number | undefined {
    const { hindrance, keptBy } = tty;
    if (hindrance?.by !== 'foreigner') return undefined;
    const { file } = hindrance;
    if (keptBy !== undefined && bearsFlock(keptBy, file)) return keptBy;
    tty.keptBy =
      this.#handlers?.tree().find(({ pid }) => bearsFlock(pid, file))?.pid ?? this.#markedWith(file);
    return tty.keptBy;
  }

  /** One that does not descend from our command, as in another container, but was started under the lease. */
  #markedWith(file: FileId): number | undefined {
    const pid = readFlocks().holderOf(file);
    // What we took and have closed, a guard that was relieved has until it has ended.
    if (!pid || pid === process.pid) return pid || undefined;
    const mark = `${ENV.deviceLease}=${this.#lease.record.folder}`;
    return readProcessEnvironment(pid).includes(mark) ? pid : undefined;
  }

  #isOver(): boolean {
    return this.#state === 'over';
  }

  #end(trouble: Trouble): void {
    const handlers = this.#handlers;
    if (!handlers) return;
    this[Symbol.dispose]();
    handlers.onTrouble(trouble);
  }
}

function lateTrouble(tty: KeptTty): Trouble {
  const { hindrance, device } = tty;
  switch (hindrance?.by) {
    case 'foreigner':
      return foreignTrouble(tty, 'when it came back');
    case 'lease':
      return troubleOf(tty, 'expected to lock it again when it came back, another lease has its place');
    default: {
      const within = `, and was not back within ${formatDuration(device.reappearMs)}`;
      return goneTrouble(tty, device.reappearMs === 0 ? '' : within);
    }
  }
}

function foreignTrouble(tty: KeptTty, when: string): Trouble {
  const file = tty.hindrance?.by === 'foreigner' ? tty.hindrance.file : undefined;
  return troubleOf(tty, `expected to lock it again ${when}, ${holderOf(file)} has locked it`);
}

function goneTrouble({ device, place, hindrance }: KeptTty, within: string): Trouble {
  const isThere = statIfVisible(place.path) !== undefined;
  const found = hindrance?.by === 'absence' && isThere ? ` (${hindrance.text})` : '';
  const text = `${device.name}: ${place.path} went away during the lease${within}${found}; check cable and power`;
  return { device: device.name, tty: place.path, error: new RigError('hardware', text), signal: 'SIGHUP' };
}

function troubleOf({ device, place }: KeptTty, text: string): Trouble {
  const error = new RigError('busy', `${device.name}: ${place.path}: ${text}; lease ended`);
  return { device: device.name, tty: place.path, error, signal: 'SIGTERM' };
}

function holderOf(file: FileId | undefined): string {
  const pid = file && readFlocks().holderOf(file);
  return pid ? describeProcess(pid) : 'another program';
}
