import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { monotonicMs } from './clock.ts';
import type { Bias, ChipLine, Drive, EdgeEvent, GpioChip, Level, LineRequest, LineSettings } from './gpio.ts';
import { findChip, kernelChips, kernelChipText } from './kernel-chips.ts';
import { type Libgpiod, loadLibgpiod } from './libgpiod-binding.ts';
import { LibgpiodLines } from './libgpiod-lines.ts';
import type { ChipId } from './plan.ts';

/** The library tells of no edges: inputs are read so often. */
const READ_EVERY_MS = 5;
/** Nor that a chip has gone. */
const ASK_EVERY_MS = 250;

/** Source: gpiod.h 1.6, GPIOD_LINE_REQUEST_DIRECTION_*, GPIOD_LINE_REQUEST_FLAG_*. */
const INPUT = 2;
const OUTPUT = 3;
const MODE_FLAG = { 'push-pull': 0, 'open-drain': 1, 'open-source': 2 } as const;
const BIAS_FLAG: Readonly<Record<Bias, number>> = { 'as-is': 0, disabled: 8, 'pull-down': 16, 'pull-up': 32 };

/** The kernel's chips by way of libgpiod 1.x, for hosts whose kernel is older than 5.10; one for a process. */
export class LibgpiodChips {
  /**
   * What was opened of each node and is not in use: the library closes a chip only when it is collected, which may be
   * never, while a jig that waits for a line opens its chip again and again.
   */
  readonly #idle = new Map<string, Opened[]>();

  /**
   * @throws {RigError} blame `unavailable`, `config`, `hardware` as {@link findChip}; `unavailable` without node-libgpiod
   */
  open(wanted: ChipId): GpioChip {
    const library = loadLibgpiod();
    const found = findChip(wanted, kernelChips());
    const name = kernelChipText(found);
    const idle = this.#idle.get(found.path) ?? [];
    this.#idle.set(found.path, idle);
    try {
      return new OpenedChip(name, lastAlive(idle) ?? openPair(library, found.path), (opened) =>
        idle.push(opened),
      );
    } catch (error) {
      throw new RigError('unavailable', `${name}: the chip has gone (${reasonOf(error)})`, { cause: error });
    }
  }
}

interface Opened {
  readonly lineCount: number;
  /** Those that are requested. */
  readonly lines: LibgpiodLines;
  /** On a chip of its own: asking a chip for its lines releases those that are requested through it. */
  readonly asked: LibgpiodLines;
}

/** @throws a system error */
function openPair(library: Libgpiod, path: string): Opened {
  const chip = new library.Chip(path);
  return {
    lineCount: chip.numberOfLines,
    lines: new LibgpiodLines(library, chip),
    asked: new LibgpiodLines(library, new library.Chip(path)),
  };
}

/** The node may be another chip's by now. */
function lastAlive(idle: Opened[]): Opened | undefined {
  for (let opened = idle.pop(); opened; opened = idle.pop()) {
    try {
      opened.asked.info(0);
      return opened;
    } catch {
      // Of a chip that has gone: the next.
    }
  }
  return undefined;
}

class OpenedChip implements GpioChip {
  readonly name: string;
  readonly gone: AbortSignal;
  readonly #gone = new AbortController();
  readonly #requests = new Set<HeldLines>();
  readonly #opened: Opened;
  readonly #giveBack: (opened: Opened) => void;
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;

  constructor(name: string, opened: Opened, giveBack: (opened: Opened) => void) {
    this.name = name;
    this.gone = this.#gone.signal;
    this.#opened = opened;
    this.#giveBack = giveBack;
    this.#timer = setInterval(() => this.#ask(), ASK_EVERY_MS);
  }

  async lines(): Promise<readonly ChipLine[]> {
    this.#requireOpen();
    return Array.from({ length: this.#opened.lineCount }, (_, offset) => this.#line(offset));
  }

  async request(consumer: string, wanted: ReadonlyMap<number, LineSettings>): Promise<LineRequest> {
    this.#requireOpen();
    for (const [offset, settings] of wanted) this.#requirePossible(offset, settings);
    const { lines } = this.#opened;
    const taken: number[] = [];
    try {
      // First all lines are taken, as they are, then they are set up: one that somebody holds leaves all alone.
      for (const offset of wanted.keys()) {
        this.call('cannot be taken', () => lines.take(offset, consumer), offset);
        taken.push(offset);
      }
      for (const [offset, settings] of wanted) {
        this.call('cannot be set up as the config says', () => setUp(lines, offset, settings), offset);
      }
    } catch (error) {
      for (const offset of taken) lines.release(offset);
      throw error;
    }
    const request = new HeldLines(this, lines, wanted);
    this.#requests.add(request);
    return request;
  }

  /** @throws {RigError} what a system error comes to */
  call<T>(refusal: string, act: () => T, offset?: number): T {
    try {
      return act();
    } catch (error) {
      const code = errnoCode(error) ?? '';
      if (code === 'ENODEV' || code === 'ENXIO') throw this.#lose(error);
      const line = offset === undefined ? undefined : this.#line(offset);
      const what = line ? `${this.name}: line ${offset}${line.name && ` (${line.name})`}` : this.name;
      if (code === 'EBUSY') {
        const holder = line?.consumer ?? 'somebody';
        throw new RigError('busy', `${what}: expected a free line, it is held by ${holder}`, {
          cause: error,
        });
      }
      const blame = code === 'EINVAL' || code === 'EOPNOTSUPP' ? 'config' : 'hardware';
      throw new RigError(blame, `${what}: ${refusal}: ${reasonOf(error)}`, { cause: error });
    }
  }

  forget(request: HeldLines): void {
    this.#requests.delete(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const request of [...this.#requests]) await request[Symbol.asyncDispose]();
    if (!this.gone.aborted) this.#giveBack(this.#opened);
  }

  #line(offset: number): ChipLine {
    const { name, consumer, used } = this.call('cannot be asked', () => this.#opened.asked.info(offset));
    return {
      offset,
      name: name ?? '',
      consumer: used ? (consumer ?? 'somebody without a name') : undefined,
    };
  }

  #ask(): void {
    try {
      this.#line(0);
    } catch {
      // The chip has gone, which `gone` tells, or it is asked again.
    }
  }

  #lose(cause: unknown): RigError {
    clearInterval(this.#timer);
    if (!this.gone.aborted) {
      this.#gone.abort(new RigError('unavailable', `${this.name}: the chip has gone`, { cause }));
    }
    return this.gone.reason as RigError;
  }

  #requirePossible(offset: number, settings: LineSettings): void {
    if (offset >= this.#opened.lineCount) {
      throw new RigError(
        'config',
        `${this.name}: line ${offset}: expected an offset below ${this.#opened.lineCount}, the chip's number of lines`,
      );
    }
    if (settings.direction === 'input' && settings.debounceMs !== undefined) {
      throw new RigError(
        'config',
        `${this.name}: line ${offset}: expected no debounce, libgpiod 1.x has none; use --backend uapi`,
      );
    }
  }

  #requireOpen(): void {
    this.gone.throwIfAborted();
    if (this.#isClosed) throw new RigError('usage', `${this.name}: expected an open chip, it is closed`);
  }
}

class HeldLines implements LineRequest {
  readonly #chip: OpenedChip;
  readonly #lines: LibgpiodLines;
  readonly #settings: ReadonlyMap<number, LineSettings>;
  readonly #drives = new Map<number, Drive>();
  readonly #levels = new Map<number, Level>();
  readonly #listeners = new Set<(edge: EdgeEvent) => void>();
  readonly #timer: NodeJS.Timeout | undefined;
  #isReleased = false;

  constructor(chip: OpenedChip, lines: LibgpiodLines, settings: ReadonlyMap<number, LineSettings>) {
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

/** A line that is let go of, though held, is an input. */
function setUp(lines: LibgpiodLines, offset: number, settings: LineSettings): void {
  const bias = BIAS_FLAG[settings.bias];
  if (settings.direction === 'input' || settings.initial === 'released') {
    lines.configure(offset, { direction: INPUT, flags: bias, level: 0 });
  } else {
    const flags = MODE_FLAG[settings.mode] | bias;
    lines.configure(offset, { direction: OUTPUT, flags, level: settings.initial });
  }
}
