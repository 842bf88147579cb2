import { setTimeout as delay } from 'node:timers/promises';
import { RigError } from '../base/errors.ts';
import type { TargetPlan } from './plan.ts';
import { type LineCare, TargetLines } from './target-lines.ts';

/** How often a chip that went away is looked for: soon enough for a board that re-enumerates, idle otherwise. */
const RETRY_MS = 250;

export interface KeeperEvents {
  readonly onGone: (reason: RigError) => void;
  readonly onBack: () => void;
}

/** Holds the lines of one target for life: when a chip went away and is back, they are taken again. */
export class LineKeeper implements AsyncDisposable {
  readonly #plan: TargetPlan;
  readonly #care: LineCare;
  readonly #events: KeeperEvents;
  readonly #end = new AbortController();
  #lines: TargetLines | undefined;
  #gone: RigError | undefined;
  #taking: Promise<TargetLines> | undefined;
  /** Of the lines on chips that are still there, when another has gone. */
  #lettingGo: Promise<void> = Promise.resolve();
  #looking: Promise<void> = Promise.resolve();

  constructor(plan: TargetPlan, care: LineCare, events: KeeperEvents) {
    this.#plan = plan;
    this.#care = care;
    this.#events = events;
  }

  /** Why there are no lines at the moment. */
  get unavailable(): RigError | undefined {
    return this.#gone;
  }

  /** The lines while they are held. */
  get held(): TargetLines | undefined {
    return this.#lines;
  }

  /** The lines, taken now when they are not held. @throws {RigError} why they cannot be had */
  async take(): Promise<TargetLines> {
    if (this.#lines && !this.#lines.gone.aborted) return this.#lines;
    this.#taking ??= this.#takeOnce().finally(() => {
      this.#taking = undefined;
    });
    return await this.#taking;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#looking;
    await this.#taking?.catch(() => {}); // told to who asked
    await this.#lines?.[Symbol.asyncDispose]();
    this.#lines = undefined;
  }

  async #takeOnce(): Promise<TargetLines> {
    await this.#lettingGo; // else we would be in our own way
    if (this.#end.signal.aborted) throw new RigError('unavailable', `${this.#plan.name}: the jig stops`);
    const lines = await TargetLines.take(this.#plan, this.#care);
    this.#lines = lines;
    const wasGone = this.#gone !== undefined;
    this.#gone = undefined;
    const onGone = (): void => {
      if (this.#lines === lines) this.#lose(lines);
    };
    lines.gone.addEventListener('abort', onGone, { once: true });
    if (lines.gone.aborted) onGone();
    else if (wasGone) this.#events.onBack();
    return lines;
  }

  #lose(lines: TargetLines): void {
    if (this.#end.signal.aborted) return;
    const reason: unknown = lines.gone.reason;
    this.#lines = undefined;
    this.#gone = reason instanceof RigError ? reason : new RigError('unavailable', String(reason));
    this.#events.onGone(this.#gone);
    this.#lettingGo = letGo(lines);
    this.#looking = this.#look();
  }

  async #look(): Promise<void> {
    await this.#lettingGo;
    const { signal } = this.#end;
    while (!signal.aborted && !this.#lines) {
      await delay(RETRY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted || this.#lines) return;
      try {
        await this.take();
      } catch (error) {
        if (!(error instanceof RigError)) throw error;
        this.#gone = error;
      }
    }
  }
}

/** Leaves the lines on chips that are still there as at any other end. */
async function letGo(lines: TargetLines): Promise<void> {
  await lines.makeSafe().catch(() => {}); // it fails at least for the chip that has gone
  await lines[Symbol.asyncDispose]().catch(() => {});
}
