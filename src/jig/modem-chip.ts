/** DTR and RTS of a tty as the lines of a chip; 1 is asserted, which is the low level of a TTL adapter's pin. */

import { RigError, reasonOf } from '../base/errors.ts';
import type { ChipLine, GpioChip, Level, LineRequest, LineSettings } from './gpio.ts';

/** One opened tty. Its calls throw when it has gone. */
export interface ModemPort {
  /** Both in one step. */
  set(lines: ModemLevels): void;
  get(): ModemLevels;
  hasHungUp(): boolean;
  close(): void;
}

export interface ModemLevels {
  readonly dtr: boolean;
  readonly rts: boolean;
}

/** Where a tty is opened. */
export interface ModemSource {
  /** How people name it in messages. */
  readonly name: string;
  /** Without touching it: an open moves the lines. */
  isThere(): boolean;
  /** With these levels from the first moment that is ours. @throws {RigError} blame `unavailable`, `busy`, `config` */
  open(levels: ModemLevels): ModemPort;
}

const LINES = ['dtr', 'rts'] as const;

/** How often is looked whether the adapter was pulled out. */
const LOOK_EVERY_MS = 250;

/** The tty of any number of chips: it is opened once, when the first line is requested, and held until none is. */
export class ModemTty {
  readonly source: ModemSource;
  #port: ModemPort | undefined;
  #watch: NodeJS.Timeout | undefined;
  #levels: ModemLevels = { dtr: false, rts: false };
  #gone = new AbortController();
  readonly #holders = new Map<number, string>();

  constructor(source: ModemSource) {
    this.source = source;
  }

  /** @throws {RigError} blame `unavailable` when nothing is there */
  async open(): Promise<GpioChip> {
    if (!this.source.isThere()) throw this.#missing();
    if (this.#gone.signal.aborted) this.#gone = new AbortController();
    return new ModemChip(this, this.#gone.signal);
  }

  lines(): readonly ChipLine[] {
    return LINES.map((name, offset) => ({ offset, name, consumer: this.#holders.get(offset) }));
  }

  /** All or none; a line that nobody has is not asserted. */
  take(consumer: string, wanted: ReadonlyMap<number, Level>): void {
    for (const offset of wanted.keys()) {
      const holder = this.#holders.get(offset);
      if (holder === undefined) continue;
      throw new RigError(
        'busy',
        `${this.source.name}: ${LINES[offset]}: expected a free line, it is held by ${holder}`,
      );
    }
    if (this.#port) this.set(wanted);
    else this.#openPort(this.#with(wanted));
    for (const offset of wanted.keys()) this.#holders.set(offset, consumer);
  }

  set(levels: ReadonlyMap<number, Level>): void {
    const next = this.#with(levels);
    this.#use((port) => port.set(next));
    this.#levels = next;
  }

  get(offset: number): Level {
    return this.#use((port) => port.get())[LINES[offset] ?? 'dtr'] ? 1 : 0;
  }

  /** They are no longer asserted; with the last one the tty is closed. */
  release(offsets: readonly number[]): void {
    for (const offset of offsets) this.#holders.delete(offset);
    if (this.#gone.signal.aborted) return;
    this.set(new Map(offsets.map((offset) => [offset, 0])));
    if (this.#holders.size === 0) this.#close();
  }

  #with(levels: ReadonlyMap<number, Level>): ModemLevels {
    const next = { ...this.#levels };
    for (const [offset, level] of levels) next[LINES[offset] ?? 'dtr'] = level === 1;
    return next;
  }

  #openPort(levels: ModemLevels): void {
    const port = this.source.open(levels);
    this.#port = port;
    this.#levels = levels;
    this.#watch = setInterval(() => {
      if (port.hasHungUp()) this.#lose(this.#missing());
    }, LOOK_EVERY_MS).unref();
  }

  #use<T>(use: (port: ModemPort) => T): T {
    this.#gone.signal.throwIfAborted();
    if (!this.#port) throw new RigError('usage', `${this.source.name}: expected a held line`);
    try {
      return use(this.#port);
    } catch (error) {
      const reason = new RigError('unavailable', `${this.source.name}: ${reasonOf(error)}`, { cause: error });
      this.#lose(reason);
      throw reason;
    }
  }

  #lose(reason: RigError): void {
    this.#close();
    this.#holders.clear();
    this.#gone.abort(reason);
  }

  #close(): void {
    clearInterval(this.#watch);
    this.#port?.close();
    this.#port = undefined;
    this.#levels = { dtr: false, rts: false };
  }

  #missing(): RigError {
    return new RigError('unavailable', `${this.source.name}: the tty is not there`);
  }
}

class ModemChip implements GpioChip {
  readonly name: string;
  readonly gone: AbortSignal;
  readonly #tty: ModemTty;
  readonly #requests = new Set<ModemRequest>();

  constructor(tty: ModemTty, gone: AbortSignal) {
    this.name = tty.source.name;
    this.gone = gone;
    this.#tty = tty;
  }

  async lines(): Promise<readonly ChipLine[]> {
    this.gone.throwIfAborted();
    return this.#tty.lines();
  }

  async request(consumer: string, wanted: ReadonlyMap<number, LineSettings>): Promise<LineRequest> {
    this.gone.throwIfAborted();
    const levels = new Map(
      [...wanted].map(([offset, settings]) => [offset, this.#initial(offset, settings)]),
    );
    this.#tty.take(consumer, levels);
    const request = new ModemRequest(this.#tty, [...wanted.keys()], this.gone);
    this.#requests.add(request);
    return request;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const request of this.#requests) await request[Symbol.asyncDispose]();
  }

  #initial(offset: number, settings: LineSettings): Level {
    const refuse = (expected: string): RigError => new RigError('config', `${this.name}: ${expected}`);
    const name = LINES[offset];
    if (name === undefined) throw refuse(`line ${offset}: expected 0 (dtr) or 1 (rts)`);
    if (settings.direction === 'input') throw refuse(`${name}: expected an output, a modem line is no input`);
    if (settings.bias !== 'as-is') throw refuse(`${name}: expected no bias, an adapter has none`);
    if (settings.mode !== 'push-pull')
      throw refuse(`${name}: expected push-pull, an adapter has nothing else`);
    if (settings.initial === 'released')
      throw refuse(`${name}: expected safe 0 or 1, an adapter always drives`);
    return settings.initial;
  }
}

class ModemRequest implements LineRequest {
  readonly #tty: ModemTty;
  readonly #offsets: readonly number[];
  readonly #gone: AbortSignal;
  #isReleased = false;

  constructor(tty: ModemTty, offsets: readonly number[], gone: AbortSignal) {
    this.#tty = tty;
    this.#offsets = offsets;
    this.#gone = gone;
  }

  async set(drives: Parameters<LineRequest['set']>[0]): Promise<void> {
    const levels = new Map<number, Level>();
    for (const [offset, drive] of drives) {
      this.#check(offset);
      if (drive === 'released') throw new RigError('usage', `line ${offset}: expected a level`);
      levels.set(offset, drive);
    }
    this.#tty.set(levels);
  }

  async get(offset: number): Promise<Level> {
    this.#check(offset);
    return this.#tty.get(offset);
  }

  onEdge(): () => void {
    return () => {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#gone.aborted) return; // they are free already, and may be somebody else's
    this.#tty.release(this.#offsets);
  }

  #check(offset: number): void {
    this.#gone.throwIfAborted();
    if (this.#isReleased) throw new RigError('usage', `line ${offset}: expected a held line, it is released`);
    if (!this.#offsets.includes(offset))
      throw new RigError('usage', `line ${offset}: expected a requested line`);
  }
}
