import { RigError } from '../base/errors.ts';
import { TimeUp } from './verdict.ts';

/**
 * Of several sessions, the one that is over first. When time is up, a tty on which the script did nothing just then
 * tells only that; another one what was missing.
 *
 * @throws what that session throws
 */
export async function firstVerdict(runs: readonly Promise<void>[]): Promise<void> {
  try {
    await Promise.race(runs);
  } catch (error) {
    if (!(error instanceof TimeUp)) throw error;
    const outcomes = await Promise.allSettled(runs);
    const told = outcomes.find((each) => each.status === 'rejected' && !(each.reason instanceof TimeUp));
    throw told?.status === 'rejected'
      ? told.reason
      : new RigError('verdict', error.message, { cause: error });
  }
}
