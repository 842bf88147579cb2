import { RigError } from '../base/errors.ts';
import type { DescriptorWatch } from '../native/descriptor-watch.ts';
import {
  closeLines,
  configOrder,
  giveOrder,
  LINE_FLAG,
  type LineConfig,
  type LineOrder,
  levelsOrder,
  readLineLevel,
} from '../native/gpio-chardev.ts';
import type { Bias, Drive, EdgeEvent, Level, LineRequest, LineSettings, PulseTimes } from './gpio.ts';
import type { PulseThread } from './pulse-thread.ts';
import { UapiInputs } from './uapi-inputs.ts';

const US_PER_MS = 1000;

/** What a request needs of its chip. */
export interface UapiHolder {
  readonly gone: AbortSignal;
  /** @throws {RigError} what a system error comes to; `refusal` is what could not be done */
  call<T>(refusal: string, act: () => T, lines?: () => TakenLines['lines']): T;
  /** The chip has gone, as somebody noticed. */
  lose(cause?: unknown): void;
  forget(request: UapiLines): void;
}

/** Lines of one direction, with one descriptor: what is set up of outputs does not touch how inputs are watched. */
export interface TakenLines {
  readonly fd: number;
  readonly lines: readonly (readonly [number, LineSettings])[];
}

/** Lines that are held by way of the kernel's own descriptors. */
export class UapiLines implements LineRequest {
  readonly #chip: UapiHolder;
  readonly #taken: readonly TakenLines[];
  readonly #outputs: TakenLines | undefined;
  /** Where each line is: found at once, however many there are. */
  readonly #places = new Map<number, { readonly fd: number; readonly index: number }>();
  readonly #drives = new Map<number, Drive | 'unknown'>();
  readonly #inputs: UapiInputs | undefined;
  readonly #listeners = new Set<(edge: EdgeEvent) => void>();
  readonly #lossListeners = new Set<(count: number) => void>();
  readonly #stopWatching = new Map<TakenLines, () => Promise<void>>();
  readonly #pulses: PulseThread;
  /** While the thread has the lines: nobody else touches them. It always resolves. */
  #pulsing: Promise<unknown> | undefined;
  #isReleased = false;

  constructor(chip: UapiHolder, taken: readonly TakenLines[], watch: DescriptorWatch, pulses: PulseThread) {
    this.#chip = chip;
    this.#taken = taken;
    this.#pulses = pulses;
    this.#outputs = taken.find(({ lines }) => lines[0]?.[1].direction === 'output');
    for (const each of taken) {
      const { fd, lines } = each;
      for (const [index, [offset, settings]] of lines.entries()) {
        this.#places.set(offset, { fd, index });
        if (settings.direction === 'output') this.#drives.set(offset, settings.initial);
      }
      if (lines[0]?.[1].direction !== 'input') continue;
      const offsets = lines.map(([offset]) => offset);
      this.#inputs = new UapiInputs(fd, offsets);
      this.#stopWatching.set(
        each,
        watch.watch(fd, 'reading', ({ isOver }) => {
          if (isOver) this.#chip.lose();
          else this.#tellEdges();
        }),
      );
    }
  }

  async set(drives: ReadonlyMap<number, Drive>): Promise<void> {
    while (this.#pulsing) await this.#pulsing;
    this.#requireOutputs(drives);
    const outputs = this.#outputs;
    const changes = this.#changes(drives);
    if (!outputs || changes.size === 0) return;
    try {
      this.#chip.call(
        'cannot be set',
        () => giveOrder(outputs.fd, this.#order(outputs, changes)),
        () => outputs.lines.filter(([offset]) => changes.has(offset)),
      );
    } catch (error) {
      // Half way, maybe: what makes them safe afterwards must not think that they are let go of, or driven.
      for (const [offset, drive] of changes)
        if (this.#isSetUpAnew(offset, drive)) this.#drives.set(offset, 'unknown');
      throw error;
    }
    for (const [offset, drive] of changes) this.#drives.set(offset, drive);
  }

  async pulse(
    during: ReadonlyMap<number, Drive>,
    after: ReadonlyMap<number, Drive>,
    forMs: number,
  ): Promise<PulseTimes> {
    while (this.#pulsing) await this.#pulsing;
    this.#requireOutputs(during);
    this.#requireOutputs(after);
    const outputs = this.#outputs;
    if (!outputs) throw new RigError('usage', 'expected a line to pulse, got none');
    const begin = this.#order(outputs, during);
    // From here on, also if it fails half way: what makes them safe afterwards must not think that they are.
    for (const [offset, drive] of during) this.#drives.set(offset, drive);
    const end = this.#order(outputs, after);
    const pulse = this.#pulses.pulse({ linesFd: outputs.fd, begin, end, forMs });
    this.#pulsing = pulse.then(
      () => {},
      () => {}, // told to who asked
    );
    try {
      const times = await pulse;
      for (const [offset, drive] of after) this.#drives.set(offset, drive);
      return times;
    } catch (error) {
      return this.#chip.call(
        'cannot be set',
        () => {
          throw error;
        },
        () => outputs.lines.filter(([offset]) => during.has(offset)),
      );
    } finally {
      this.#pulsing = undefined;
    }
  }

  async get(offset: number): Promise<Level> {
    const { fd, index } = this.#find(offset);
    return this.#chip.call('cannot be read', () => readLineLevel(fd, index));
  }

  onEdge(listener: (edge: EdgeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  catchUp(): void {
    this.#tellEdges();
  }

  onLoss(listener: (count: number) => void): () => void {
    this.#lossListeners.add(listener);
    return () => this.#lossListeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#listeners.clear();
    this.#lossListeners.clear();
    this.#chip.forget(this);
    // The number of its descriptor must not become another's under the thread.
    await this.#pulsing;
    await Promise.all(
      this.#taken.map(async (each) => {
        await this.#stopWatching.get(each)?.();
        closeLines(each.fd);
      }),
    );
  }

  /** @throws {RigError} blame `usage` for a line that is no output, or is not held any more */
  #requireOutputs(drives: ReadonlyMap<number, Drive>): void {
    for (const offset of drives.keys()) {
      this.#find(offset);
      if (!this.#drives.has(offset))
        throw new RigError('usage', `line ${offset}: expected an output, it is an input`);
    }
  }

  /** Not what is let go of already. */
  #changes(drives: ReadonlyMap<number, Drive>): ReadonlyMap<number, Drive> {
    let isPlain = true;
    for (const drive of drives.values()) isPlain &&= drive !== 'released';
    if (isPlain) return drives;
    return new Map([...drives].filter(([offset, drive]) => drive !== 'released' || this.#isDriven(offset)));
  }

  /** Only what begins or ends to be driven is set up anew, which says to all others again what they are. */
  #order({ lines }: TakenLines, changes: ReadonlyMap<number, Drive>): LineOrder {
    let bits = 0n;
    let mask = 0n;
    for (const [offset, drive] of changes) {
      if (this.#isSetUpAnew(offset, drive)) {
        return configOrder(
          lines.map(([each, settings]) => configOf(settings, changes.get(each) ?? this.#lastDrive(each))),
        );
      }
      const bit = 1n << BigInt(this.#find(offset).index);
      mask |= bit;
      if (drive === 1) bits |= bit;
    }
    return levelsOrder(bits, mask);
  }

  #isDriven(offset: number): boolean {
    return this.#drives.get(offset) !== 'released';
  }

  /** More than a level. */
  #isSetUpAnew(offset: number, drive: Drive): boolean {
    const last = this.#drives.get(offset);
    return drive === 'released' || last === 'released' || last === 'unknown';
  }

  /** Undefined where it is not known: at its safe level it does no harm. */
  #lastDrive(offset: number): Drive | undefined {
    const last = this.#drives.get(offset);
    return last === 'unknown' ? undefined : last;
  }

  #tellEdges(): void {
    if (!this.#inputs || this.#isReleased || this.#chip.gone.aborted) return;
    let changes: ReturnType<UapiInputs['changes']>;
    try {
      changes = this.#inputs.changes();
    } catch (error) {
      this.#chip.lose(error);
      return;
    }
    if (changes.lost > 0) for (const listener of [...this.#lossListeners]) listener(changes.lost);
    for (const edge of changes.edges) for (const listener of [...this.#listeners]) listener(edge);
  }

  #find(offset: number): { fd: number; index: number } {
    this.#chip.gone.throwIfAborted();
    if (this.#isReleased) throw new RigError('usage', `line ${offset}: expected a held line, it is released`);
    const place = this.#places.get(offset);
    if (!place) throw new RigError('usage', `line ${offset}: expected a requested line`);
    return place;
  }
}

const BIAS_FLAG: Readonly<Record<Bias, number>> = {
  'as-is': 0,
  disabled: LINE_FLAG.biasDisabled,
  'pull-up': LINE_FLAG.pullUp,
  'pull-down': LINE_FLAG.pullDown,
};

const MODE_FLAG = {
  'push-pull': 0,
  'open-drain': LINE_FLAG.openDrain,
  'open-source': LINE_FLAG.openSource,
} as const;

/** A line that is let go of, though held, is an input whose edges nobody wants. */
export function configOf(settings: LineSettings, drive?: Drive): LineConfig {
  const bias = BIAS_FLAG[settings.bias];
  if (settings.direction === 'input') {
    const flags = LINE_FLAG.input | LINE_FLAG.risingEdge | LINE_FLAG.fallingEdge | bias;
    return { flags, level: 0, debounceUs: Math.round((settings.debounceMs ?? 0) * US_PER_MS) };
  }
  const wanted = drive ?? settings.initial;
  if (wanted === 'released') return { flags: LINE_FLAG.input | bias, level: 0, debounceUs: 0 };
  return { flags: LINE_FLAG.output | MODE_FLAG[settings.mode] | bias, level: wanted, debounceUs: 0 };
}
