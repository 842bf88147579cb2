import { RigError } from '../base/errors.ts';
import type { OpenConsole } from '../tty/console.ts';
import type { Presence } from '../tty/followed-console.ts';
import { openTtyConsole } from '../tty/tty-console.ts';
import type { Request } from './request.ts';
import type { TargetTty } from './target-tty.ts';
import { TimeUp } from './verdict.ts';

/** What opens a tty; of one that may come back, what waits for that, as long as `until` says, and tells `onChange`. */
export async function openerOf(
  { follow }: TargetTty,
  request: Request,
  until: AbortSignal,
  onChange: (text: string, tty: Presence) => void,
): Promise<OpenConsole> {
  const open = await driverOf(request.driver);
  if (!follow || request.port.follow === 'never') return open;
  const { following } = await import('../tty/followed-console.ts');
  const followed = following(open, { ...follow, until, onChange });
  return async (path, options) => {
    try {
      return await followed(path, options);
    } catch (error) {
      if (!(error instanceof TimeUp)) throw error;
      const text = `${options.label}: expected its tty to come back, it is away (${error.message})`;
      throw new RigError('hardware', text, { cause: error });
    }
  };
}

/** That of another package is loaded for those who ask for it. */
async function driverOf(name: Request['driver']): Promise<OpenConsole> {
  if (name === 'tty') return openTtyConsole;
  const { openSerialConsole } = await import('../tty/serial-console.ts');
  return openSerialConsole;
}
