import { RigError } from '../base/errors.ts';
import { monotonicMs } from './clock.ts';
import {
  type Bias,
  type ChipLine,
  type Drive,
  type EdgeEvent,
  type GpioChip,
  type Level,
  type LineRequest,
  type LineSettings,
  plainDrive,
} from './gpio.ts';

/** A GPIO chip in memory, as the board sees it; {@link open} gives the jig's side of it, as often as wanted. */
export class SimulatedChip {
  readonly name: string;
  readonly #lines: readonly SimulatedLine[];
  #gone = new AbortController();

  /** `names` by offset; an empty name is a line without one. */
  constructor(name: string, names: readonly string[]) {
    this.name = name;
    this.#lines = names.map((each, offset) => new SimulatedLine(offset, each));
  }

  /** @throws {RigError} blame `unavailable` while the chip is unplugged */
  async open(): Promise<GpioChip> {
    if (this.#gone.signal.aborted) throw this.#gone.signal.reason;
    return new OpenedChip(this.name, this.#lines, this.#gone.signal);
  }

  /** What the wire carries. */
  levelAt(offset: number): Level {
    return this.#line(offset).level;
  }

  /** What the board does to the wire; it wins over a resistor, and loses to a driven output. */
  driveFromBoard(offset: number, drive: Drive): void {
    this.#line(offset).change({ board: drive });
  }

  /** Calls `listener` at each change of any wire. */
  onChange(listener: (offset: number, level: Level) => void): void {
    for (const line of this.#lines) line.listeners.add(({ level }) => listener(line.offset, level));
  }

  /** Calls `listener` with each change of a wire, also one that only makes it let go of, or not. */
  onWire(listener: (wire: WireState) => void): void {
    for (const line of this.#lines) line.watchers.add(listener);
  }

  /** The adapter is pulled out: requests end, the wires go to what the board gives them. */
  unplug(): void {
    this.#gone.abort(new RigError('unavailable', `${this.name}: the chip has gone`));
    for (const line of this.#lines) line.free();
  }

  plug(): void {
    this.#gone = new AbortController();
  }

  #line(offset: number): SimulatedLine {
    return known(this.#lines, offset, this.name);
  }
}

/** What a wire carries, and whether the chip drives it. */
export interface WireState {
  readonly offset: number;
  readonly name: string;
  readonly level: Level;
  readonly isDriven: boolean;
}

class SimulatedLine {
  readonly offset: number;
  readonly name: string;
  readonly listeners = new Set<(edge: EdgeEvent) => void>();
  readonly watchers = new Set<(wire: WireState) => void>();
  consumer: string | undefined;
  level: Level = 0;
  #own: Drive = 'released';
  #board: Drive = 'released';
  #bias: Bias = 'as-is';

  constructor(offset: number, name: string) {
    this.offset = offset;
    this.name = name;
  }

  change({ own = this.#own, board = this.#board, bias = this.#bias }): void {
    const wasDriven = this.#own !== 'released';
    this.#own = own;
    this.#board = board;
    this.#bias = bias;
    const level = firstDriven(own, board, bias === 'pull-up' ? 1 : 0);
    const before = this.level;
    this.level = level;
    const isDriven = own !== 'released';
    if (level !== before || isDriven !== wasDriven) {
      const wire = { offset: this.offset, name: this.name, level, isDriven };
      for (const watcher of this.watchers) watcher(wire);
    }
    if (level === before) return;
    const edge = { offset: this.offset, level, monotonicMs: monotonicMs() };
    for (const listener of [...this.listeners]) listener(edge);
  }

  free(): void {
    this.consumer = undefined;
    this.change({ own: 'released', bias: 'as-is' });
  }
}

class OpenedChip implements GpioChip {
  readonly name: string;
  readonly gone: AbortSignal;
  readonly #lines: readonly SimulatedLine[];
  readonly #requests = new Set<SimulatedRequest>();

  constructor(name: string, lines: readonly SimulatedLine[], gone: AbortSignal) {
    this.name = name;
    this.gone = gone;
    this.#lines = lines;
  }

  async lines(): Promise<readonly ChipLine[]> {
    this.gone.throwIfAborted();
    return this.#lines.map(({ offset, name, consumer }) => ({ offset, name, consumer }));
  }

  async request(consumer: string, wanted: ReadonlyMap<number, LineSettings>): Promise<LineRequest> {
    this.gone.throwIfAborted();
    const held = [...wanted].map(([offset, settings]) => {
      const line = known(this.#lines, offset, this.name);
      if (line.consumer !== undefined) {
        throw new RigError(
          'busy',
          `${this.name}: line ${offset}: expected a free line, it is held by ${line.consumer}`,
        );
      }
      return { line, settings };
    });
    const request = new SimulatedRequest(held, consumer, this.gone);
    this.#requests.add(request);
    return request;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const request of this.#requests) await request[Symbol.asyncDispose]();
  }
}

interface HeldLine {
  readonly line: SimulatedLine;
  readonly settings: LineSettings;
}

class SimulatedRequest implements LineRequest {
  readonly #held: ReadonlyMap<number, HeldLine>;
  readonly #gone: AbortSignal;
  readonly #stopListening: (() => void)[] = [];
  #isReleased = false;

  constructor(held: readonly HeldLine[], consumer: string, gone: AbortSignal) {
    this.#held = new Map(held.map((each) => [each.line.offset, each]));
    this.#gone = gone;
    for (const { line, settings } of held) {
      line.consumer = consumer;
      const own = settings.direction === 'output' ? plainDrive(settings.mode, settings.initial) : 'released';
      line.change({ own, bias: settings.bias });
    }
  }

  async set(drives: ReadonlyMap<number, Drive>): Promise<void> {
    const changes = [...drives].map(([offset, drive]) => {
      const { line, settings } = this.#line(offset);
      if (settings.direction === 'input')
        throw new RigError('usage', `line ${offset}: expected an output, it is an input`);
      return () => line.change({ own: plainDrive(settings.mode, drive) });
    });
    for (const change of changes) change();
  }

  async get(offset: number): Promise<Level> {
    return this.#line(offset).line.level;
  }

  onEdge(listener: (edge: EdgeEvent) => void): () => void {
    const inputs = [...this.#held.values()].filter(({ settings }) => settings.direction === 'input');
    for (const { line } of inputs) line.listeners.add(listener);
    const stop = (): void => {
      for (const { line } of inputs) line.listeners.delete(listener);
    };
    this.#stopListening.push(stop);
    return stop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    for (const stop of this.#stopListening) stop();
    if (this.#gone.aborted) return; // they are free already, and may be somebody else's
    for (const { line } of this.#held.values()) line.free();
  }

  #line(offset: number): HeldLine {
    this.#gone.throwIfAborted();
    const line = this.#held.get(offset);
    if (this.#isReleased) throw new RigError('usage', `line ${offset}: expected a held line, it is released`);
    if (!line) throw new RigError('usage', `line ${offset}: expected a requested line`);
    return line;
  }
}

function known(lines: readonly SimulatedLine[], offset: number, chip: string): SimulatedLine {
  const line = lines[offset];
  if (line) return line;
  throw new RigError(
    'config',
    `${chip}: line ${offset}: expected an offset below ${lines.length}, the chip's number of lines`,
  );
}

function firstDriven(own: Drive, board: Drive, resistor: Level): Level {
  if (own !== 'released') return own;
  return board === 'released' ? resistor : board;
}
