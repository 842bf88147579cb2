import { RigError } from '../base/errors.ts';
import { TimeUp } from './verdict.ts';

/**
 * Of several sessions, the one that came to its verdict first: `decided` has their indices in that order, as letting go
 * of a console takes its time. When time is up, a tty on which the script did nothing just then tells only that; another
 * one what was missing.
 *
 * @throws what that session throws
 */
export async function firstVerdict(
  runs: readonly Promise<void>[],
  decided: readonly number[],
): Promise<void> {
  const first = Promise.race(runs);
  await first.catch(() => {});
  for (const index of decided) {
    try {
      return await runs[index];
    } catch (error) {
      if (!(error instanceof TimeUp)) throw error;
    }
  }
  try {
    await first; // it failed before there was a session, or just as a bystander
  } catch (error) {
    if (!(error instanceof TimeUp)) throw error;
    throw new RigError('verdict', error.message, { cause: error });
  }
}
