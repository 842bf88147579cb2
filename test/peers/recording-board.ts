import type { Board, BoardLines, LineEdge } from '../../src/virtual-lab/board.ts';
import { serveSimChip } from '../../src/virtual-lab/sim-chip-server.ts';
import type { Drive, Level } from '../../src/wire/sim-chip.ts';

/** What was done to a line from outside, in the order in which the board saw it. */
export interface RecordedDrive {
  readonly line: string;
  readonly drive: Drive;
}

/** A board's lines behind the real socket of a simulated chip; it remembers all that is done to them. */
export class RecordingBoard implements Board {
  readonly name = 'recorder';
  readonly ttys: readonly string[] = [];
  readonly lostBytes = 0;
  readonly broken = new Promise<never>(() => {});
  readonly lines: RecordedLines;

  /** `inputs` are driven from outside, `outputs` by the board. */
  constructor(inputs: readonly string[], outputs: readonly string[]) {
    this.lines = new RecordedLines(inputs, outputs);
  }

  async serve(path: string): Promise<AsyncDisposable> {
    return await serveSimChip(this, path);
  }

  async setPower(): Promise<void> {}
  async reset(): Promise<void> {}
  async unplug(): Promise<void> {}
  async plug(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

class RecordedLines implements BoardLines {
  readonly names: readonly string[];
  readonly history: RecordedDrive[] = [];
  readonly #outputs: readonly string[];
  readonly #levels = new Map<string, Level>();
  readonly #listeners = new Set<(edge: LineEdge) => void>();

  constructor(inputs: readonly string[], outputs: readonly string[]) {
    this.names = [...inputs, ...outputs];
    this.#outputs = outputs;
  }

  directionOf(line: string): 'input' | 'output' {
    return this.#outputs.includes(line) ? 'output' : 'input';
  }

  levelOf(line: string): Level {
    return this.#levels.get(line) ?? 0;
  }

  drive(line: string, drive: Drive): void {
    this.history.push({ line, drive });
    this.setLevel(line, drive === 'released' ? 0 : drive);
  }

  /** What the board itself does; its resistors pull down. */
  setLevel(line: string, level: Level): void {
    if (this.levelOf(line) === level) return;
    this.#levels.set(line, level);
    const edge = { line, level, monotonicMs: Number(process.hrtime.bigint()) / 1e6 };
    for (const listener of this.#listeners) listener(edge);
  }

  onEdge(listener: (edge: LineEdge) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
