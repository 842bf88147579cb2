/** A console whose tty may go away and come back: that of a board with USB of its own does so at every reset. */

import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../base/duration.ts';
import { errnoCode, RigError } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import { readFlocks } from '../base/proc-locks.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { readTtySettings } from '../native/termios.ts';
import type { Console, ConsoleOptions, DrivenLines, OpenConsole } from './console.ts';
import { TTY_OPEN_FLAGS } from './tty-console.ts';
import { consoleReleased } from './tty-errors.ts';

/** Boards need half a second and more; what they say meanwhile waits in their own buffers. */
const LOOK_EACH_MS = 20;

/**
 * Who has the lease looks ten times a second, and may have to end a process before the lock is its own again: what is
 * there is not given up before, though it may be away for no time at all, as after the end of a session that had it.
 */
const RELOCKED_WITHIN_MS = 2000;

/** Whether a tty is there. */
export type Presence = 'away' | 'back';

export interface FollowOptions {
  /** How long the tty may be away each time. */
  readonly withinMs: number;
  /** `the lease`: what comes back is not touched before it is locked again, as the lease sets it then. */
  readonly lockedBy: 'the lease' | 'nobody';
  /** Told when the tty goes away, and when it is back. */
  readonly onChange: (text: string, tty: Presence) => void;
  /** Ends the wait for a tty that is away from the beginning. */
  readonly until?: AbortSignal;
}

/**
 * `open`, where the tty may be away, at the beginning too.
 *
 * @throws {RigError} blame `hardware` when it is refused, or does not come in time
 * @throws the reason of `until`
 */
export function following(open: OpenConsole, options: FollowOptions): OpenConsole {
  return async (path, consoleOptions) => {
    const tty = { path, options: consoleOptions, open };
    try {
      return new FollowedConsole(await open(path, consoleOptions), tty, options);
    } catch (error) {
      if (!(error instanceof RigError) || !isAbsence(error)) throw error;
      options.onChange(error.message, 'away');
      const never = new AbortController().signal;
      const console = await untilBack(tty, options, () => error, options.until ?? never);
      return new FollowedConsole(console, tty, options);
    }
  };
}

interface FollowedTty {
  readonly path: string;
  readonly options: ConsoleOptions;
  readonly open: OpenConsole;
}

class FollowedConsole implements Console {
  readonly label: string;
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly #tty: FollowedTty;
  readonly #follow: FollowOptions;
  readonly #released = new AbortController();
  #console: Console;
  /** While it is away: resolves once it is back. */
  #returning: Promise<void> | undefined;
  #formerOverruns = 0;

  constructor(console: Console, tty: FollowedTty, follow: FollowOptions) {
    this.label = console.label;
    this.#console = console;
    this.#tty = tty;
    this.#follow = follow;
    this.bytes = this.#read();
  }

  get isAway(): boolean {
    return this.#returning !== undefined;
  }

  get overruns(): number | undefined {
    const { overruns } = this.#console;
    return overruns === undefined ? undefined : this.#formerOverruns + overruns;
  }

  async send(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#whenThere(signal);
    await this.#console.send(bytes, signal);
  }

  async sendBreak(durationMs: number, signal?: AbortSignal): Promise<void> {
    await this.#whenThere(signal);
    await this.#console.sendBreak(durationMs, signal);
  }

  drive(lines: DrivenLines): void {
    this.#console.drive(lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released.abort(consoleReleased(this.label));
    await this.#returning?.catch(() => {}); // told to who reads
    await this.#console[Symbol.asyncDispose]();
  }

  async *#read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      try {
        yield* this.#console.bytes;
        return;
      } catch (error) {
        if (!(error instanceof RigError) || error.blame !== 'hardware') throw error;
        this.#returning = this.#return(error);
        this.#returning.catch(() => {}); // also when nobody sends meanwhile
      }
      try {
        await this.#returning;
      } catch (error) {
        if (this.#released.signal.aborted) return;
        throw error;
      }
      this.#returning = undefined;
    }
  }

  async #return(gone: RigError): Promise<void> {
    const former = this.#console;
    // At once: what comes back while its old tty is open gets another name.
    await former[Symbol.asyncDispose]();
    this.#formerOverruns += former.overruns ?? 0;
    this.#follow.onChange(gone.message, 'away');
    const notBack = (hindrance: string): RigError => {
      const text = `${gone.message}, and was not back within ${formatDuration(this.#follow.withinMs)}${hindrance}`;
      return new RigError('hardware', text, { cause: gone });
    };
    this.#console = await untilBack(this.#tty, this.#follow, notBack, this.#released.signal);
  }

  async #whenThere(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#returning) return;
    using stop = new LinkedSignal(signal ? [signal] : []);
    await new Promise<void>((resolve, reject) => {
      stop.signal.addEventListener('abort', () => reject(stop.signal.reason as Error), { once: true });
      this.#returning?.then(resolve, reject);
    });
  }
}

/** @throws the reason of `until`; what `notBack` makes of the time being up, and of what stands in the way */
async function untilBack(
  { path, options, open }: FollowedTty,
  { withinMs, lockedBy, onChange }: FollowOptions,
  notBack: (hindrance: string) => RigError,
  until: AbortSignal,
): Promise<Console> {
  const awayMs = performance.now();
  let hindrance = '';
  for (;;) {
    until.throwIfAborted();
    // From before the look: whoever was stopped in the middle of one looks once more before time is up.
    const nowMs = performance.now();
    const state = stateOf(path, lockedBy);
    if (state === 'ready') {
      try {
        const console = await open(path, options);
        onChange(`${options.label}: is back`, 'back');
        return console;
      } catch (error) {
        if (!(error instanceof RigError) || error.blame !== 'hardware') throw error;
        hindrance = isAbsence(error) ? '' : ` (${error.message.replace(`${options.label}: `, '')})`;
      }
    } else hindrance = state === 'missing' ? '' : ' (it is there, its lease has not locked it)';
    const patienceMs = state === 'unlocked' ? Math.max(withinMs, RELOCKED_WITHIN_MS) : withinMs;
    if (nowMs - awayMs >= patienceMs) throw notBack(hindrance);
    await sleep(LOOK_EACH_MS, undefined, { signal: until }).catch(() => {}); // told above
  }
}

function stateOf(path: string, lockedBy: FollowOptions['lockedBy']): 'missing' | 'unlocked' | 'ready' {
  const node = statIfVisible(path);
  if (!node) return 'missing';
  if (lockedBy === 'nobody') return 'ready';
  return readFlocks().holderOf(node) !== undefined && isSet(path) ? 'ready' : 'unlocked';
}

/** Who has locked it sets it next, to a speed that may not be ours: not after we have. */
function isSet(path: string): boolean {
  let fd: number | undefined;
  try {
    fd = openSync(path, TTY_OPEN_FLAGS);
    return readTtySettings(fd).raw;
  } catch {
    return false; // gone again, or not yet given to our group
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Of a board that is not there now. */
function isAbsence({ cause }: RigError): boolean {
  const code = errnoCode(cause);
  return code !== undefined && ['ENOENT', 'ENOTDIR', 'ENXIO', 'ENODEV', 'EIO'].includes(code);
}
