import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import type { ChipLine, GpioChip, LineRequest, LineSettings } from './gpio.ts';
import { findChip, kernelChips, kernelChipText } from './kernel-chips.ts';
import { type Libgpiod, loadLibgpiod } from './libgpiod-binding.ts';
import { LibgpiodLines } from './libgpiod-lines.ts';
import { LibgpiodRequest, setUp } from './libgpiod-request.ts';
import type { ChipId } from './plan.ts';

/** The library does not tell that a chip has gone: it is asked so often. */
const ASK_EVERY_MS = 250;

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

/** @throws {RigError} blame `config`, about the line `where` */
export function requireNoDebounce(where: string, settings: LineSettings): void {
  if (settings.direction === 'input' && settings.debounceMs !== undefined) {
    throw new RigError('config', `${where}: expected no debounce, libgpiod 1.x has none; use --backend uapi`);
  }
}

class OpenedChip implements GpioChip {
  readonly name: string;
  readonly gone: AbortSignal;
  readonly #gone = new AbortController();
  readonly #requests = new Set<LibgpiodRequest>();
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
      const request = new LibgpiodRequest(this, lines, wanted);
      this.#requests.add(request);
      return request;
    } catch (error) {
      for (const offset of taken) lines.release(offset);
      throw error;
    }
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

  forget(request: LibgpiodRequest): void {
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
    if (!Number.isInteger(offset) || offset < 0 || offset >= this.#opened.lineCount) {
      throw new RigError(
        'config',
        `${this.name}: line ${offset}: expected an offset below ${this.#opened.lineCount}, the chip's number of lines`,
      );
    }
    requireNoDebounce(`${this.name}: line ${offset}`, settings);
  }

  #requireOpen(): void {
    this.gone.throwIfAborted();
    if (this.#isClosed) throw new RigError('usage', `${this.name}: expected an open chip, it is closed`);
  }
}
