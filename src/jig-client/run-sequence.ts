import * as v from 'valibot';
import { RunReport } from '../wire/jig.ts';
import { ask, type JigAccess, jsonOrUndefined, textOf } from './ask.ts';

export interface RunSequence extends JigAccess {
  /** `<jig>/<target>`, the value of `SAI_DEVICE_JIG`. */
  readonly url: string;
  readonly sequence: string;
  /** How long to wait for the target to be free; 0 when left out. */
  readonly waitMs?: number;
  /** What hanging up does to the sequence: `abort` also makes the lines safe. */
  readonly onDisconnect?: 'finish' | 'abort';
}

/**
 * Has a jig run a sequence, and resolves when it is done, with its report if the jig gives one (Sai's does not).
 *
 * @throws {RigError} blame `unavailable` for a jig or line that is not there, `busy`, `config` for a target
 * and `usage` for a sequence that is not there, `verdict` when the board did not do in time what the sequence waits for
 * @throws the reason of `signal`
 */
export async function runSequence({
  url,
  sequence,
  waitMs = 0,
  onDisconnect = 'finish',
  ...access
}: RunSequence): Promise<RunReport | undefined> {
  const options = new URLSearchParams();
  if (waitMs > 0) options.set('wait', `${waitMs}ms`);
  if (onDisconnect === 'abort') options.set('on-disconnect', 'abort');
  const query = options.size > 0 ? `?${options}` : '';
  // The form that Sai's jig understands as well.
  const address = `${url.replace(/\/+$/, '')}/${encodeURIComponent(sequence)}${query}`;
  const answer = await ask('GET', address, access);
  const report = v.safeParse(RunReport, jsonOrUndefined(await textOf(answer, address, access.signal)));
  return report.success ? report.output : undefined;
}
