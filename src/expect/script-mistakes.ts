/** What is wrong with a script, all of it at once. */

import { RigError, ScriptError } from '../base/errors.ts';

/** More of them mostly have one cause. */
const TOLD_LIMIT = 10;

/** A file with mistakes, each told in one line. */
export class ScriptMistakes extends ScriptError {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

/** Collects mistakes, so that who writes a script need not run it once for each. */
export class MistakeList {
  readonly #lines = new Set<string>();

  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  add(...lines: readonly string[]): void {
    for (const line of lines) this.#lines.add(line);
  }

  /** What `act` gives; undefined when it fails by a mistake, which is kept. @throws whatever else it throws */
  async collect<T>(act: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      this.#take(error);
      return undefined;
    }
  }

  /** @throws {RigError} blame `config` when there is any */
  throwIfAny(): void {
    if (this.isEmpty) return;
    const all = sorted([...this.#lines]);
    const [first = ''] = all;
    if (all.length === 1) throw new ScriptError(first);
    const more = all.length > TOLD_LIMIT ? [`and ${all.length - TOLD_LIMIT} more mistakes`] : [];
    throw new ScriptMistakes([...all.slice(0, TOLD_LIMIT), ...more]);
  }

  #take(error: unknown): void {
    if (!(error instanceof RigError) || error.blame !== 'config') throw error;
    this.add(...(error instanceof ScriptMistakes ? error.lines : [error.message]));
  }
}

/** By line and column; files as they came. */
function sorted(lines: readonly string[]): string[] {
  const placed = lines.map((line) => {
    const [, file = '', row = 0, column = 0] = /^(.*?):(\d+):(\d+): /.exec(line) ?? [];
    return { line, file, row: Number(row), column: Number(column) };
  });
  const files = placed.map(({ file }) => file);
  return placed
    .sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.row - b.row || a.column - b.column)
    .map(({ line }) => line);
}
