import { RigError } from '../base/errors.ts';
import type { Level } from '../wire/sim-chip.ts';
import type { BoardLines, LineEdge } from './board.ts';

/**
 * The lines of a board: inputs idle at the level of a resistor, outputs are the firmware's and begin at 0.
 * Every board has an input `reset`, which idles at 1.
 */
export class PulledLines<Input extends string, Output extends string> implements BoardLines {
  readonly names: readonly string[];
  readonly #apply: (line: Input, level: Level) => void;
  readonly #idle: ReadonlyMap<string, Level>;
  readonly #driven = new Map<string, Level>();
  readonly #levels: Map<string, Level>;
  readonly #listeners = new Set<(edge: LineEdge) => void>();
  #resetButton: 'pressed' | 'released' = 'released';

  /** `idle` names the inputs; `apply` gives the board the new level of one. */
  constructor(
    idle: Readonly<Record<Input, Level> & { reset: 1 }>,
    outputs: readonly Output[],
    apply: (line: Input, level: Level) => void,
  ) {
    this.#apply = apply;
    this.#idle = new Map(Object.entries<Level>(idle));
    this.#levels = new Map([...this.#idle, ...outputs.map((line) => [line, 0] as const)]);
    this.names = [...this.#levels.keys()];
  }

  directionOf(line: string): 'input' | 'output' {
    this.#checkKnown(line);
    return this.#isInput(line) ? 'input' : 'output';
  }

  levelOf(line: string): Level {
    this.#checkKnown(line);
    return this.#levels.get(line) ?? 0;
  }

  drive(line: string, level: Level | 'released'): void {
    this.#checkKnown(line);
    if (!this.#isInput(line)) {
      throw new RigError('usage', `${line}: expected a line that can be driven, it is an output`);
    }
    if (level === 'released') this.#driven.delete(line);
    else this.#driven.set(line, level);
    this.#settle(line);
  }

  onEdge(listener: (edge: LineEdge) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The button on the board itself: it wins over whoever drives the line, as a contact to ground does. */
  setResetButton(state: 'pressed' | 'released'): void {
    this.#resetButton = state;
    this.#settle('reset');
  }

  /** The board saw a line change. */
  seen({ line, level, monotonicMs }: LineEdge & { readonly line: Input | Output }): void {
    if (!this.#isInput(line)) this.#levels.set(line, level);
    for (const listener of this.#listeners) listener({ line, level, monotonicMs });
  }

  #settle(line: string): void {
    const isGrounded = line === 'reset' && this.#resetButton === 'pressed';
    const level = isGrounded ? 0 : (this.#driven.get(line) ?? this.#idle.get(line) ?? 1);
    if (level === this.#levels.get(line)) return;
    this.#levels.set(line, level);
    if (this.#isInput(line)) this.#apply(line, level);
  }

  #isInput(line: string): line is Input {
    return this.#idle.has(line);
  }

  #checkKnown(line: string): void {
    if (this.#levels.has(line)) return;
    throw new RigError('usage', `${line}: expected a line of this board: ${this.names.join(', ')}`);
  }
}
