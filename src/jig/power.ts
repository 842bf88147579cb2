/** What switches the power of a board, beside lines: it outlives the jig. */

import type { Clock } from './clock.ts';
import type { PowerPlan } from './power-plan.ts';

export type PowerValue = 'on' | 'off';

/** One outlet. Resolves once it has said that it is so. @throws {PeerError} when it does not */
export type TurnPower = (value: PowerValue, signal: AbortSignal) => Promise<void>;

/** The power of one target. Switching on waits, so that the board was really off, and the outlet lives. */
export class PowerSwitch {
  readonly #plan: PowerPlan;
  readonly #turn: TurnPower;
  readonly #clock: Clock;
  #state: PowerValue | undefined;
  #isOurs = false;
  /** Nobody knows what was before the jig: it may have been switched just then. */
  #lastOnMs: number;
  #lastOffMs: number;

  constructor(plan: PowerPlan, turn: TurnPower, clock: Clock) {
    this.#plan = plan;
    this.#turn = turn;
    this.#clock = clock;
    this.#lastOnMs = clock.nowMs();
    this.#lastOffMs = clock.nowMs();
  }

  /** What it was last told and said to be. */
  get state(): PowerValue | undefined {
    return this.#state;
  }

  /** Off at once; on as soon as it may be. @throws {PeerError}, the reason of `signal` */
  async turn(value: PowerValue, signal: AbortSignal): Promise<void> {
    const { minOffMs, minIntervalMs } = this.#plan;
    await this.#turnAfter(
      value,
      Math.max(this.#lastOffMs + minOffMs, this.#lastOnMs + minIntervalMs),
      signal,
    );
  }

  /** To its safe value, if it has one; on waits for `minOff` alone. @throws {PeerError}, the reason of `signal` */
  async makeSafe(signal = new AbortController().signal): Promise<void> {
    const { safe, minOffMs } = this.#plan;
    if (safe === 'keep') return;
    await this.#turnAfter(safe, this.#lastOffMs + minOffMs, signal);
  }

  /** The same, where it was switched since and is not known to be safe. @throws {PeerError} */
  async leaveSafe(): Promise<void> {
    if (this.#isOurs && this.#state !== this.#plan.safe) await this.makeSafe();
  }

  async #turnAfter(value: PowerValue, notBeforeMs: number, signal: AbortSignal): Promise<void> {
    if (value === 'on' && this.#state !== 'on') await this.#clock.sleepUntil(notBeforeMs, signal);
    signal.throwIfAborted();
    this.#isOurs = true;
    const before = this.#state;
    this.#state = undefined;
    try {
      await this.#turn(value, signal);
      this.#state = value;
    } finally {
      // What failed may still have switched.
      if (value === 'off') this.#lastOffMs = this.#clock.nowMs();
      else if (before !== 'on') this.#lastOnMs = this.#clock.nowMs();
    }
  }
}
