import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import type { DescriptorWatch } from '../native/descriptor-watch.ts';
import {
  closeGpioChip,
  closeLines,
  configureLines,
  encodeConfig,
  MOST_LINES,
  openGpioChip,
  readChipInfo,
  readLineInfo,
  requestLines,
} from '../native/gpio-chardev.ts';
import type { ChipLine, GpioChip, LineRequest, LineSettings } from './gpio.ts';
import { findChip, kernelChips, kernelChipText } from './kernel-chips.ts';
import type { ChipId } from './plan.ts';
import type { PulseThread } from './pulse-thread.ts';
import { configOf, type TakenLines, UapiLines } from './uapi-lines.ts';

/**
 * A chip of the kernel, by its character device. `watch` and `pulses` are one for all chips of a process.
 *
 * @throws {RigError} blame `unavailable`, `config`, `hardware` as {@link findChip}; {@link KernelTooOldError}
 */
export function openUapiChip(wanted: ChipId, watch: DescriptorWatch, pulses: PulseThread): GpioChip {
  const found = findChip(wanted, kernelChips());
  const name = kernelChipText(found);
  let fd: number;
  try {
    fd = openGpioChip(found.path);
  } catch (error) {
    throw new RigError('unavailable', `${name}: the chip has gone (${reasonOf(error)})`, { cause: error });
  }
  try {
    return new UapiChip(name, fd, watch, pulses);
  } catch (error) {
    closeGpioChip(fd);
    throw error;
  }
}

/** The kernel has GPIO chips, but not version 2 of their interface. */
export class KernelTooOldError extends RigError {}

class UapiChip implements GpioChip {
  readonly name: string;
  readonly gone: AbortSignal;
  readonly #fd: number;
  readonly #watch: DescriptorWatch;
  readonly #pulses: PulseThread;
  readonly #lineCount: number;
  readonly #gone = new AbortController();
  readonly #requests = new Set<UapiLines>();
  readonly #stopWatching: () => Promise<void>;
  #isClosed = false;

  constructor(name: string, fd: number, watch: DescriptorWatch, pulses: PulseThread) {
    this.name = name;
    this.gone = this.#gone.signal;
    this.#fd = fd;
    this.#watch = watch;
    this.#pulses = pulses;
    this.#lineCount = this.call('cannot be asked', () => readChipInfo(fd).lineCount);
    this.#requireVersion2();
    this.#stopWatching = this.call('cannot be watched', () => watch.watch(fd, 'end', () => this.lose()));
  }

  async lines(): Promise<readonly ChipLine[]> {
    this.#requireOpen();
    return Array.from({ length: this.#lineCount }, (_, offset) => this.#line(offset));
  }

  async request(consumer: string, wanted: ReadonlyMap<number, LineSettings>): Promise<LineRequest> {
    this.#requireOpen();
    for (const offset of wanted.keys()) this.#requireLine(offset);
    const [outputs, inputs] = (['output', 'input'] as const).map((direction) =>
      [...wanted].filter(([, settings]) => settings.direction === direction),
    );
    const taken: TakenLines[] = [];
    try {
      // First all lines are taken, as they are, then they are set up: one that somebody holds leaves all alone.
      for (const lines of [outputs, inputs]) if (lines?.length) taken.push(this.#take(consumer, lines));
      for (const { fd, lines } of taken) {
        const configs = lines.map(([, settings]) => configOf(settings));
        this.call(
          'cannot be set up as the config says',
          () => configureLines(fd, configs),
          () => lines,
        );
      }
      const request = this.call(
        'cannot be watched',
        () => new UapiLines(this, taken, this.#watch, this.#pulses),
      );
      this.#requests.add(request);
      // With the lines safe. No pulse waits for it then, of which there may be one at once.
      await this.#pulses.ready();
      return request;
    } catch (error) {
      for (const { fd } of taken) closeLines(fd);
      throw error;
    }
  }

  /** @throws {RigError} what a system error comes to */
  call<T>(refusal: string, act: () => T, linesOf: () => TakenLines['lines'] = () => []): T {
    try {
      return act();
    } catch (error) {
      const code = errnoCode(error) ?? '';
      if (code === 'ENODEV' || code === 'ENXIO') throw this.lose(error);
      if (error instanceof RigError) throw new RigError(error.blame, `${this.name}: ${error.message}`);
      const offsets = linesOf().map(([offset]) => offset);
      if (code === 'EBUSY') throw this.#busy(offsets, error);
      const what = offsets.length > 0 ? `${this.name}: line ${offsets.join(', ')}` : this.name;
      const blame = REFUSED.test(code) ? 'config' : 'hardware';
      throw new RigError(blame, `${what}: ${refusal}: ${reasonOf(error)}`, { cause: error });
    }
  }

  /** The chip has gone, as somebody noticed. */
  lose(cause?: unknown): RigError {
    if (!this.gone.aborted) {
      this.#gone.abort(new RigError('unavailable', `${this.name}: the chip has gone`, { cause }));
    }
    return this.gone.reason as RigError;
  }

  forget(request: UapiLines): void {
    this.#requests.delete(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all([...this.#requests].map((request) => request[Symbol.asyncDispose]()));
    await this.#stopWatching();
    closeGpioChip(this.#fd);
  }

  #take(consumer: string, lines: readonly (readonly [number, LineSettings])[]): TakenLines {
    requireFew(this.name, lines.length);
    const offsets = lines.map(([offset]) => offset);
    return {
      fd: this.call(
        'cannot be taken',
        () => requestLines(this.#fd, offsets, consumer),
        () => lines,
      ),
      lines,
    };
  }

  #line(offset: number): ChipLine {
    const info = this.call('cannot be asked', () => readLineInfo(this.#fd, offset));
    const consumer = info.isUsed ? info.consumer || 'somebody without a name' : undefined;
    return { offset, name: info.name, consumer };
  }

  #busy(offsets: readonly number[], cause: unknown): RigError {
    const held = offsets.map((offset) => this.#line(offset)).find(({ consumer }) => consumer !== undefined);
    const line = held ? `line ${held.offset}${held.name === '' ? '' : ` (${held.name})`}` : 'a line';
    return new RigError(
      'busy',
      `${this.name}: ${line}: expected a free line, it is held by ${held?.consumer ?? 'somebody'}`,
      { cause },
    );
  }

  /** Kernels before 5.10 know chips, but not how we ask for lines. */
  #requireVersion2(): void {
    try {
      readLineInfo(this.#fd, 0);
    } catch (error) {
      if (errnoCode(error) !== 'EINVAL' && errnoCode(error) !== 'ENOTTY') return; // the next call says so
      throw new KernelTooOldError(
        'unavailable',
        `${this.name}: expected Linux 5.10 or newer, this kernel is older; try --backend libgpiod`,
        { cause: error },
      );
    }
  }

  #requireLine(offset: number): void {
    if (offset < this.#lineCount) return;
    throw new RigError(
      'config',
      `${this.name}: line ${offset}: expected an offset below ${this.#lineCount}, the chip's number of lines`,
    );
  }

  #requireOpen(): void {
    this.gone.throwIfAborted();
    if (this.#isClosed) throw new RigError('usage', `${this.name}: expected an open chip, it is closed`);
  }
}

/** @throws {RigError} blame `config`, about the chip `where`, for more lines or kinds of them than one request of the kernel has */
export function requireOneRequest(where: string, lines: readonly LineSettings[]): void {
  requireFew(where, lines.length);
  try {
    encodeConfig(lines.map((settings) => configOf(settings)));
  } catch (error) {
    throw error instanceof RigError ? new RigError(error.blame, `${where}: ${error.message}`) : error;
  }
}

function requireFew(where: string, count: number): void {
  if (count <= MOST_LINES) return;
  throw new RigError(
    'config',
    `${where}: expected at most ${MOST_LINES} lines of a direction in one target, got ${count}`,
  );
}

/** What drivers say to what their chip cannot do; 524 is the kernel's own ENOTSUPP. */
const REFUSED = /^(?:EINVAL|EOPNOTSUPP|ENOTSUP|Unknown system error -524)$/;
