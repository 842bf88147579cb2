import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { castOf } from './cast.ts';
import { type Recording, readRecording } from './recording-file.ts';
import { Replay, recordedEarly } from './replay.ts';
import type { Request } from './request.ts';
import { Session, type SessionParts } from './session.ts';
import { TimeUp } from './verdict.ts';

/** What of a session is the same with a board and with a recording. */
type CommonParts = Pick<SessionParts, 'onBytes' | 'results' | 'detail'>;

export interface ReplayOptions {
  readonly request: Request;
  readonly recording: Recording;
  readonly invocation: Invocation;
  readonly commonParts: CommonParts;
  /** Told of each session as it begins. */
  readonly onSession: (session: Session, label: string) => void;
}

/**
 * Does the steps with a recording in the board's place, in its time, which passes as fast as it can be read.
 *
 * @throws what a session throws
 */
export async function runReplay({
  request,
  recording,
  invocation,
  commonParts,
  onSession,
}: ReplayOptions): Promise<void> {
  const { diagnostics, stop } = invocation;
  if (request.script.steps.some(({ kind }) => kind === 'parallel')) {
    throw new RigError(
      'usage',
      '--replay: expected a script for one tty, got one with parallel steps; run it with the board',
    );
  }
  if (recording.isCut)
    diagnostics.say('replay: the last line of the recording is cut; its writer was killed');
  const replay = new Replay(recording, (text) => diagnostics.say(`replay: ${text}`));
  const deadline = new AbortController();
  const oneIsDone = new AbortController();
  const { timeoutMs } = request;
  if (timeoutMs !== 'never') replay.clock.after(timeoutMs, () => deadline.abort(new TimeUp(timeoutMs)));
  const until = AbortSignal.any([stop, deadline.signal, oneIsDone.signal]);
  const sessions = replay.consoles.map((console, tty) => {
    const session = new Session({
      ...commonParts,
      console,
      script: request.script,
      unread: recordedEarly(recording, tty),
      runJig: replay.runJig,
      deviceCrash: recording.head.ttys[tty]?.crash,
      logGapBytes: () => 0,
      onLoss: (loss) => diagnostics.say(loss.message),
      clock: replay.clock,
    });
    onSession(session, console.label);
    return session;
  });
  const runs = sessions.map((session) => session.run(until));
  const first = Promise.race(runs).finally(() => oneIsDone.abort());
  await replay.run(first.catch(() => {}));
  // Where nothing ends it, the recording does.
  deadline.abort(new TimeUp(replay.clock.nowMs));
  await Promise.allSettled([first, ...runs]);
  diagnostics.detail(`replay: ${formatDuration(replay.clock.nowMs)} of the recording`);
  await first;
}

/** @throws {RigError} blame `usage` for what is no recording */
export function printCast(path: string, print: Invocation['print']): void {
  for (const line of castOf(readRecording(path, '--to-cast'))) print(line);
}
