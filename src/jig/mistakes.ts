import { RigError } from '../base/errors.ts';

/** What is wrong with a config, a line each. */
export class ConfigMistakes extends RigError {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super('config', lines[0] ?? 'is not valid');
    this.lines = lines;
  }
}

/** What `act` gives, or undefined where it is wrong and that is kept for later. */
export type Collect = <T>(act: () => T) => T | undefined;

/** The first mistake is the end. */
export const atOnce: Collect = (act) => act();

/** Keeps mistakes, so that who writes a config need not ask once for each. */
export class MistakeList {
  readonly #lines = new Set<string>();

  readonly collect: Collect = (act) => {
    try {
      return act();
    } catch (error) {
      if (!(error instanceof RigError) || error.blame !== 'config') throw error;
      this.#lines.add(error.message);
      return undefined;
    }
  };

  /** @throws {ConfigMistakes} when there is any */
  throwIfAny(): void {
    if (this.#lines.size > 0) throw new ConfigMistakes([...this.#lines]);
  }
}
