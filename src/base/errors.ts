/** Who has to act when a command fails; decides the exit status, nothing else. */
export type Blame = 'usage' | 'config' | 'busy' | 'unavailable' | 'hardware' | 'protocol' | 'verdict';

/** Every failure the toolkit raises on purpose. Anything else that is thrown is our bug. */
export class RigError extends Error {
  readonly blame: Blame;

  constructor(blame: Blame, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.blame = blame;
  }
}

/** What who writes a test has written is wrong, and not a file of the rig. Its blame is `config` all the same. */
export class ScriptError extends RigError {
  constructor(message: string, options?: ErrorOptions) {
    super('config', message, options);
  }
}

/** The `code` of a system error (`ENOENT`), or undefined for anything else that was thrown. */
export function errnoCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The text of whatever was thrown, on one line, for use inside a longer message. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, ' ');
}
