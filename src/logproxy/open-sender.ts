import type { LogSender } from './sender.ts';

/** A sender to the address that the variable holds; undefined, and nothing loaded, when it holds none. */
export async function openSender(env: NodeJS.ProcessEnv, variable: string): Promise<LogSender | undefined> {
  const address = env[variable];
  if (!address) return undefined;
  const { LogSender } = await import('./sender.ts');
  return new LogSender(address);
}
