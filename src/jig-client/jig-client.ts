import * as v from 'valibot';
import { ByteLines } from '../base/byte-lines.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { parse } from '../base/validate.ts';
import { JigEvent, TargetStatus } from '../wire/jig.ts';
import { ask, type JigAccess, jsonOrUndefined, textOf } from './ask.ts';

const MAX_EVENT_BYTES = 64 * 1024;

/** The targets of the jig at `base`. @throws {RigError} as {@link ask} does, blame `protocol` for another program */
export async function listTargets(base: string, access: JigAccess): Promise<TargetStatus[]> {
  const url = `${base}/targets`;
  const text = await textOf(await ask('GET', url, access), url, access.signal);
  const { targets } = parse(
    v.object({ targets: v.array(TargetStatus) }),
    jsonOrUndefined(text),
    `jig ${url}`,
    'protocol',
  );
  return targets;
}

/** Ends what runs and waits; resolves once the lines are safe. @throws {RigError} as {@link ask} does */
export async function abortTarget(base: string, target: string, access: JigAccess): Promise<void> {
  const url = `${base}/targets/${encodeURIComponent(target)}/abort`;
  await textOf(await ask('POST', url, access), url, access.signal);
}

/**
 * Calls `onOpen` once the jig has taken the watcher, then `listener` for everything that happens, until it hangs up.
 *
 * @throws {RigError} blame `unavailable` when it does
 * @throws the reason of `signal`
 */
export async function watchJig(
  base: string,
  access: JigAccess,
  onOpen: () => void,
  listener: (event: JigEvent) => void,
): Promise<never> {
  const url = `${base}/events`;
  const answer = await ask('GET', url, access);
  const lines = new ByteLines(MAX_EVENT_BYTES);
  onOpen();
  let reason = 'it has ended';
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      for (const line of lines.push(chunk)) {
        listener(parse(JigEvent, jsonOrUndefined(line), `jig ${url}`, 'protocol'));
      }
    }
  } catch (error) {
    access.signal.throwIfAborted();
    if (error instanceof RigError) throw error;
    reason = reasonOf(error);
  }
  throw new RigError('unavailable', `jig ${url}: no more events: ${reason}`);
}
