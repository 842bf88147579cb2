import { RigError } from '../base/errors.ts';
import type { LogSender } from './sender.ts';

/**
 * A sender to the address that the variable holds; undefined, and nothing loaded, when it holds none. `say` is told of
 * an address that nobody can listen at: then it is undefined as well.
 */
export async function openSender(
  env: NodeJS.ProcessEnv,
  variable: string,
  say: (text: string) => void,
): Promise<LogSender | undefined> {
  const address = env[variable];
  if (!address) return undefined;
  const { LogSender } = await import('./sender.ts');
  try {
    return new LogSender(address);
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    say(`not in the log: $${variable}: ${error.message}`);
    return undefined;
  }
}
