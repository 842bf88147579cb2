import { RigError } from '../base/errors.ts';
import type { OpenConsole } from '../tty/console.ts';
import type { Presence } from '../tty/followed-console.ts';
import type { TargetTty } from './target-tty.ts';
import { TimeUp } from './verdict.ts';

/**
 * What opens a tty by `open`; of one that may come back, what waits for that, as long as `until` says, and tells
 * `onChange`.
 */
export async function followedOpener(
  open: OpenConsole,
  { follow }: TargetTty,
  wish: 'as leased' | 'never',
  until: AbortSignal,
  onChange: (text: string, tty: Presence) => void,
): Promise<OpenConsole> {
  if (!follow || wish === 'never') return open;
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
