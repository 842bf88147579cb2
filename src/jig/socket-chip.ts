import { RigError, reasonOf } from '../base/errors.ts';
import { SimChipClient } from '../sim-chip/sim-chip-client.ts';
import {
  type ChipLine,
  type Drive,
  type EdgeEvent,
  type GpioChip,
  type Level,
  type LineRequest,
  type LineSettings,
  plainDrive,
} from './gpio.ts';

/** A board that does not answer for so long is stopped or gone. */
const LONGEST_ANSWER_MS = 2000;

/** The lines of a virtual board, on the socket at `path`. @throws {RigError} blame `unavailable` when nobody serves it */
export async function openSocketChip(path: string): Promise<GpioChip> {
  const client = await SimChipClient.connect(path);
  const chip = new SocketChip(path, client);
  try {
    await chip.learnLines();
    return chip;
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

/** @throws {RigError} blame `config` for what no virtual board has, of the line `where` */
export function requireOfBoard(where: string, settings: LineSettings): void {
  if (settings.bias !== 'as-is') {
    throw new RigError('config', `${where}: expected no bias, the board's resistors are its own`);
  }
  if (settings.direction === 'input' && settings.debounceMs !== undefined) {
    throw new RigError('config', `${where}: expected no debounce, no contact of this board bounces`);
  }
}

class SocketChip implements GpioChip {
  readonly name: string;
  readonly #client: SimChipClient;
  readonly #silent = new AbortController();
  #names: readonly string[] = [];

  constructor(path: string, client: SimChipClient) {
    this.name = path;
    this.#client = client;
    this.gone = AbortSignal.any([client.ended, this.#silent.signal]);
  }

  readonly gone: AbortSignal;

  async learnLines(): Promise<void> {
    this.#names = (await this.lines()).map(({ name }) => name);
  }

  async lines(): Promise<readonly ChipLine[]> {
    const { lines } = await this.answer(this.#client.info());
    return lines.map(({ offset, name, consumer, direction }) => ({
      offset,
      name,
      consumer: consumer ?? undefined,
      ...(direction === 'output' ? { isBoards: true } : {}),
    }));
  }

  async request(consumer: string, wanted: ReadonlyMap<number, LineSettings>): Promise<LineRequest> {
    const outputs: Record<string, Drive> = {};
    for (const [offset, settings] of wanted) {
      const name = this.nameOf(offset);
      requireOfBoard(`${this.name}: line ${name}`, settings);
      if (settings.direction === 'output') outputs[name] = plainDrive(settings.mode, settings.initial);
    }
    if (Object.keys(outputs).length > 0) await this.answer(this.#client.request(consumer, outputs));
    const request = new SocketLines(this, this.#client, wanted);
    await request.watch();
    return request;
  }

  nameOf(offset: number): string {
    const name = this.#names[offset];
    if (name !== undefined) return name;
    throw new RigError(
      'config',
      `${this.name}: line ${offset}: expected an offset below ${this.#names.length}, the chip's number of lines`,
    );
  }

  offsetOf(name: string): number {
    return this.#names.indexOf(name);
  }

  /** What the board answered, in time, and blamed on who wrote the config where it refuses. */
  async answer<T>(answer: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.#giveUp(), LONGEST_ANSWER_MS);
    try {
      return await answer;
    } catch (error) {
      this.gone.throwIfAborted();
      if (error instanceof RigError && error.blame === 'usage') {
        throw new RigError('config', `${this.name}: ${reasonOf(error)}`, { cause: error });
      }
      if (error instanceof RigError && error.blame === 'busy') {
        throw new RigError('busy', `${this.name}: ${reasonOf(error)}`, { cause: error });
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
  }

  /** Hanging up lets go of the lines, whatever the board is doing. */
  #giveUp(): void {
    this.#silent.abort(
      new RigError('unavailable', `${this.name}: the chip has not answered for ${LONGEST_ANSWER_MS} ms`),
    );
    this.#client[Symbol.dispose]();
  }
}

class SocketLines implements LineRequest {
  readonly #chip: SocketChip;
  readonly #client: SimChipClient;
  readonly #settings: ReadonlyMap<number, LineSettings>;
  readonly #listeners = new Set<(edge: EdgeEvent) => void>();
  #isReleased = false;

  constructor(chip: SocketChip, client: SimChipClient, settings: ReadonlyMap<number, LineSettings>) {
    this.#chip = chip;
    this.#client = client;
    this.#settings = settings;
  }

  async watch(): Promise<void> {
    const inputs = this.#namesOf('input');
    if (inputs.length === 0) return;
    await this.#chip.answer(
      this.#client.watch(inputs, ({ line, level, monotonicMs }) => {
        const edge = { offset: this.#chip.offsetOf(line), level, monotonicMs };
        for (const listener of [...this.#listeners]) listener(edge);
      }),
    );
  }

  async set(drives: ReadonlyMap<number, Drive>): Promise<void> {
    const levels: Record<string, Drive> = {};
    for (const [offset, drive] of drives) {
      const settings = this.#check(offset);
      if (settings.direction === 'input')
        throw new RigError('usage', `line ${offset}: expected an output, it is an input`);
      levels[this.#chip.nameOf(offset)] = plainDrive(settings.mode, drive);
    }
    await this.#chip.answer(this.#client.set(levels));
  }

  async get(offset: number): Promise<Level> {
    this.#check(offset);
    const name = this.#chip.nameOf(offset);
    const level = (await this.#chip.answer(this.#client.get([name])))[name];
    if (level === undefined)
      throw new RigError('protocol', `${this.#chip.name}: ${name}: expected a level, got none`);
    return level;
  }

  onEdge(listener: (edge: EdgeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#listeners.clear();
    const outputs = this.#namesOf('output');
    if (this.#chip.gone.aborted || outputs.length === 0) return;
    try {
      await this.#chip.answer(this.#client.release(outputs));
    } catch (error) {
      if (!this.#chip.gone.aborted) throw error; // else it has let go of them by going
    }
  }

  #namesOf(direction: LineSettings['direction']): string[] {
    return [...this.#settings]
      .filter(([, settings]) => settings.direction === direction)
      .map(([offset]) => this.#chip.nameOf(offset));
  }

  #check(offset: number): LineSettings {
    this.#chip.gone.throwIfAborted();
    if (this.#isReleased) throw new RigError('usage', `line ${offset}: expected a held line, it is released`);
    const settings = this.#settings.get(offset);
    if (!settings) throw new RigError('usage', `line ${offset}: expected a requested line`);
    return settings;
  }
}
