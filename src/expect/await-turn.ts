import { setTimeout as sleep } from 'node:timers/promises';
import { RigError } from '../base/errors.ts';
import { TimeUp } from './verdict.ts';

/** How to wait for what somebody else holds. */
export interface TurnOptions {
  /** The kernel tells nobody when a flock ends. */
  readonly lookEachMs: number;
  readonly until: AbortSignal;
  /** Told once, when the first try finds somebody else. */
  readonly onWait: (holder: string) => void;
  /** What to say of the last holder when time is up. */
  readonly whenLate: (holder: string) => string;
}

/**
 * What `attempt` gives, tried until it is no longer the name of somebody else.
 *
 * @throws {RigError} blame `busy` when `until` is aborted by {@link TimeUp}
 * @throws the reason of `until` otherwise
 */
export async function awaitTurn<T extends object>(
  attempt: () => T | string,
  options: TurnOptions,
): Promise<T> {
  const { lookEachMs, until, onWait, whenLate } = options;
  for (let hasWaited = false; ; hasWaited = true) {
    const turn = attempt();
    if (typeof turn !== 'string') return turn;
    if (!hasWaited) onWait(turn);
    try {
      until.throwIfAborted();
      await sleep(lookEachMs, undefined, { signal: until });
    } catch {
      const reason: unknown = until.reason;
      throw reason instanceof TimeUp ? new RigError('busy', `${whenLate(turn)} (${reason.message})`) : reason;
    }
  }
}
