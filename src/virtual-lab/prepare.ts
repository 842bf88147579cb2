import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { prepareLinuxGuest } from './linux-guest.ts';

/** `sai-virtual-lab prepare`: what `up` needs and does not fetch by itself. Prints where it is. */
export async function prepare(type: string, { env, stop, diagnostics, print }: Invocation): Promise<number> {
  if (type !== 'linux') throw new RigError('usage', `${type}: expected a board to prepare: linux`);
  const fetching = (): void => diagnostics.say('linux: fetching its kernel and BusyBox with apt, once');
  const { kernel, initramfs } = await prepareLinuxGuest(env, stop, fetching);
  print(`${kernel}\n${initramfs}\n`);
  return 0;
}
