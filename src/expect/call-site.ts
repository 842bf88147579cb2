/** Where a program called us: what it waits for ends in a timer or a listener of ours, whose stack says nothing of it. */

import { RigError } from '../base/errors.ts';

/**
 * The frames below `call`, which is running, as the text that follows the message in an error's stack; made when it is
 * asked for.
 */
export function callSite(call: (...args: never[]) => unknown): () => string {
  const site: { stack?: string } = {};
  Error.captureStackTrace(site, call);
  // A program may have stacks made its own way.
  return () => /^\s+at .*/ms.exec(String(site.stack))?.[0] ?? '';
}

/** What was raised on purpose has the stack of its caller from here on. */
export function toldAt(site: () => string, error: unknown): unknown {
  if (error instanceof RigError) error.stack = `${error.name}: ${error.message}\n${site()}`;
  return error;
}

/** Does what `call` is for; what it raises on purpose has the stack of whoever called that. */
export async function forCaller<T>(call: (...args: never[]) => unknown, work: () => Promise<T>): Promise<T> {
  const site = callSite(call);
  try {
    return await work();
  } catch (error) {
    throw toldAt(site, error);
  }
}
