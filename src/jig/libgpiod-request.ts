import { RigError } from '../base/errors.ts';
import { monotonicMs } from './clock.ts';
import type { Bias, Drive, EdgeEvent, Level, LineRequest, LineSettings } from './gpio.ts';
import type { LibgpiodLines } from './libgpiod-lines.ts';

/** The library tells of no edges: inputs are read so often, and a change that is over sooner is missed. */
const READ_EVERY_MS = 5;

/** Source: gpiod.h 1.6, GPIOD_LINE_REQUEST_DIRECTION_*, GPIOD_LINE_REQUEST_FLAG_*. */
const INPUT = 2;
const OUTPUT = 3;
const MODE_FLAG = { 'push-pull': 0, 'open-drain': 1, 'open-source': 2 } as const;
const BIAS_FLAG: Readonly<Record<Bias, number>> = { 'as-is': 0, disabled: 8, 'pull-down': 16, 'pull-up': 32 };

/** What a request needs of its chip. */
export interface LibgpiodHolder {
  readonly gone: AbortSignal;
  /** @throws {RigError} what a system error comes to; `refusal` is what could not be done */
  call<T>(refusal: string, act: () => T, offset?: number): T;
  forget(request: LibgpiodRequest): void;
}

/** Lines that are held by way of the library. */
export class LibgpiodRequest implements LineRequest {
  readonly #chip: LibgpiodHolder;
  readonly #lines: LibgpiodLines;
  readonly #settings: ReadonlyMap<number, LineSettings>;
  readonly #drives = new Map<number, Drive>();
  readonly #levels = new Map<number, Level>();
  readonly #listeners = new Set<(edge: EdgeEvent) => void>();
  readonly #timer: NodeJS.Timeout | undefined;
  #isReleased = false;

  constructor(chip: LibgpiodHolder, lines: LibgpiodLines, settings: ReadonlyMap<number, LineSettings>) {
    this.#chip = chip;
    this.#lines = lines;
    this.#settings = settings;
    for (const [offset, each] of settings) {
      if (each.direction === 'output') this.#drives.set(offset, each.initial);
      else this.#levels.set(offset, this.#read(offset));
    }
    if (this.#levels.size === 0) return;
    this.#timer = setInterval(() => this.#readInputs(), READ_EVERY_MS);
  }

  async set(drives: ReadonlyMap<number, Drive>): Promise<void> {
    const changes = [...drives].map(([offset, drive]) => {
      const settings = this.#check(offset);
      if (settings.direction === 'input')
        throw new RigError('usage', `line ${offset}: expected an output, it is an input`);
      return { offset, drive, settings };
    });
    for (const { offset, drive, settings } of changes) {
      const isLevelOnly = drive !== 'released' && this.#drives.get(offset) !== 'released';
      const change = isLevelOnly
        ? () => this.#lines.setLevel(offset, drive)
        : () => setUp(this.#lines, offset, { ...settings, initial: drive });
      this.#chip.call('cannot be set', change, offset);
      this.#drives.set(offset, drive);
    }
  }

  async get(offset: number): Promise<Level> {
    this.#check(offset);
    return this.#read(offset);
  }

  onEdge(listener: (edge: EdgeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  catchUp(): void {
    if (!this.#isReleased) this.#readInputs();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    clearInterval(this.#timer);
    this.#listeners.clear();
    this.#chip.forget(this);
    for (const offset of this.#settings.keys()) this.#lines.release(offset);
  }

  #readInputs(): void {
    for (const [offset, before] of this.#levels) {
      let level: Level;
      try {
        level = this.#read(offset);
      } catch {
        if (this.#chip.gone.aborted) clearInterval(this.#timer);
        return; // else the next read may do better
      }
      if (level === before) continue;
      this.#levels.set(offset, level);
      const edge = { offset, level, monotonicMs: monotonicMs() };
      for (const listener of [...this.#listeners]) listener(edge);
    }
  }

  #read(offset: number): Level {
    return this.#chip.call('cannot be read', () => this.#lines.level(offset), offset);
  }

  #check(offset: number): LineSettings {
    this.#chip.gone.throwIfAborted();
    if (this.#isReleased) throw new RigError('usage', `line ${offset}: expected a held line, it is released`);
    const settings = this.#settings.get(offset);
    if (!settings) throw new RigError('usage', `line ${offset}: expected a requested line`);
    return settings;
  }
}

/** A line that is let go of, though held, is an input. @throws a system error */
export function setUp(lines: LibgpiodLines, offset: number, settings: LineSettings): void {
  const bias = BIAS_FLAG[settings.bias];
  if (settings.direction === 'input' || settings.initial === 'released') {
    lines.configure(offset, { direction: INPUT, flags: bias, level: 0 });
  } else {
    const flags = MODE_FLAG[settings.mode] | bias;
    lines.configure(offset, { direction: OUTPUT, flags, level: settings.initial });
  }
}
