import { RigError } from '../base/errors.ts';
import type { Level } from '../wire/sim-chip.ts';
import type { BoardLines, LineEdge } from './board.ts';

const DIRECTIONS = { reset: 'input', button: 'input', led: 'output' } as const;
type Line = keyof typeof DIRECTIONS;
type InputLine = 'reset' | 'button';

/** The lines of an Uno: `reset` and `button` (D2) idle at 1 by a pull-up, `led` (D13) is the firmware's. */
export class UnoLines implements BoardLines {
  readonly names: readonly string[] = Object.keys(DIRECTIONS);
  readonly #apply: (line: InputLine, level: Level) => void;
  readonly #driven = new Map<InputLine, Level>();
  readonly #levels: Record<Line, Level> = { reset: 1, button: 1, led: 0 };
  readonly #listeners = new Set<(edge: LineEdge) => void>();
  #resetButton: 'pressed' | 'released' = 'released';

  /** `apply` gives the board the new level of an input line. */
  constructor(apply: (line: InputLine, level: Level) => void) {
    this.#apply = apply;
  }

  directionOf(line: string): 'input' | 'output' {
    return DIRECTIONS[this.#known(line)];
  }

  levelOf(line: string): Level {
    return this.#levels[this.#known(line)];
  }

  drive(line: string, level: Level | 'released'): void {
    const known = this.#known(line);
    if (known === 'led')
      throw new RigError('usage', 'led: expected a line that can be driven, it is an output');
    if (level === 'released') this.#driven.delete(known);
    else this.#driven.set(known, level);
    this.#settle(known);
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
  seen(edge: LineEdge & { readonly line: Line }): void {
    if (edge.line === 'led') this.#levels.led = edge.level;
    const { line, level, monotonicMs } = edge;
    for (const listener of this.#listeners) listener({ line, level, monotonicMs });
  }

  #settle(line: InputLine): void {
    const isGrounded = line === 'reset' && this.#resetButton === 'pressed';
    const level = isGrounded ? 0 : (this.#driven.get(line) ?? 1);
    if (level === this.#levels[line]) return;
    this.#levels[line] = level;
    this.#apply(line, level);
  }

  #known(line: string): Line {
    if (Object.hasOwn(DIRECTIONS, line)) return line as Line;
    throw new RigError('usage', `${line}: expected a line of this board: ${this.names.join(', ')}`);
  }
}
