/** Waits for the turn to read a console. */

import { type ConsoleLockPlace, tryLockConsole } from '../tty/console-lock.ts';
import { awaitTurn } from './await-turn.ts';

/** The kernel gives no event when a flock ends. */
const LOOK_EACH_MS = 20;

/**
 * Waits until no other `sai-expect`, and no `sai-device --tool`, uses that console, and holds it. Ends with this
 * process, however that ends.
 *
 * @throws {RigError} blame `busy`, naming the holder, when `until` is aborted by {@link TimeUp}
 * @throws the reason of `until` otherwise
 */
export async function lockConsole(
  place: ConsoleLockPlace,
  label: string,
  until: AbortSignal,
  onWait: (holder: string) => void,
): Promise<AsyncDisposable> {
  return await awaitTurn(() => tryLockConsole(place), {
    lookEachMs: LOOK_EACH_MS,
    until,
    onWait,
    whenLate: (holder) => `${label}: expected its console to be free, ${holder} still reads it`,
  });
}
