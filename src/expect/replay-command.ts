import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { castOf } from './cast.ts';
import { Ensemble } from './ensemble.ts';
import { firstVerdict } from './first-verdict.ts';
import type { OutcomeReport } from './outcome.ts';
import type { RecordingHead } from './recording.ts';
import { type Recording, readRecording } from './recording-file.ts';
import { Replay, recordedEarly } from './replay.ts';
import type { Request } from './request.ts';
import { Session } from './session.ts';
import type { ResultsOfSession } from './session-results.ts';
import { TimeUp } from './verdict.ts';

export interface ReplayOptions {
  readonly request: Request;
  readonly recording: Recording;
  readonly invocation: Invocation;
  readonly results: ResultsOfSession | undefined;
  readonly outcome: OutcomeReport | undefined;
  /** Called with each chunk as it arrives. */
  readonly onBytes: (chunk: Uint8Array) => void;
  /** Told of the session that failed. */
  readonly onFailure: (session: Session, label: string) => void;
}

type RecordedTty = RecordingHead['ttys'][number];

/**
 * Does the steps with a recording in the board's place, in its time, which passes as fast as it can be read.
 *
 * @throws what a session throws; {RigError} blame `usage` for steps on a tty that the recording lacks
 */
export async function runReplay({
  request,
  recording,
  invocation,
  results,
  outcome,
  onBytes,
  onFailure,
}: ReplayOptions): Promise<void> {
  const { diagnostics, stop } = invocation;
  if (recording.isCut)
    diagnostics.say('replay: the last line of the recording is cut; its writer was killed');
  const recorded = recording.head.ttys;
  const ensemble = new Ensemble(request.script.steps, mainTtys(recorded, request.tty), (name) => {
    const tty = recorded.find((each) => isCalled(each, name));
    if (tty) return tty;
    throw noSuchTty(`the tty ${name} of parallel steps`, recorded);
  });
  const used = ensemble.ttys.map((tty) => recorded.indexOf(tty));
  const replay = new Replay(recording, used, (text) => diagnostics.say(`replay: ${text}`));
  outcome?.timeBy(() => replay.nowMs);
  results?.timeBy(() => replay.nowMs);
  const deadline = new AbortController();
  const oneIsDone = new AbortController();
  const { timeoutMs } = request;
  if (timeoutMs !== 'never') replay.after(timeoutMs, () => deadline.abort(new TimeUp(timeoutMs, 'the run')));
  const until = AbortSignal.any([stop, deadline.signal, oneIsDone.signal]);
  const decided: number[] = [];
  const runs = ensemble.ttys.map(async (tty, index) => {
    const at = recorded.indexOf(tty);
    const session = new Session({
      console: replay.console(at),
      script: request.script,
      unread: recordedEarly(recording, at),
      onBytes,
      runJig: replay.jig(at),
      startTransfer: replay.transfers(at),
      deviceCrash: tty.crash,
      results: index === 0 ? results : undefined,
      ...ensemble.partsOf(tty),
      detail: (text) => diagnostics.detail(text),
      onDecided: () => decided.push(index),
      onStep: (step, matched) => outcome?.step(tty.label, step, matched),
      onAccount: (account) => outcome?.account(tty.label, account),
      logGapBytes: () => 0,
      onLoss: (loss) => diagnostics.say(loss.message),
      clock: replay.clock(at),
    });
    await replay.opened(at, until);
    const running = session.run(until);
    ensemble.joined(tty, session);
    try {
      await running;
    } catch (error) {
      if (!(error instanceof TimeUp || (error === stop.reason && !session.interruption)))
        onFailure(session, tty.label);
      throw error;
    }
  });
  const first = firstVerdict(runs, decided).finally(() => oneIsDone.abort());
  await replay.run(first.catch(() => {}));
  // Where nothing ends it, the recording does.
  deadline.abort(new TimeUp(replay.nowMs));
  await Promise.allSettled([first, ...runs]);
  diagnostics.detail(`replay: ${formatDuration(replay.nowMs)} of the recording`);
  await first;
}

/** Those that all steps are for: all of them where no tty is said, as when there are no steps. */
function mainTtys(recorded: readonly RecordedTty[], wanted: string | undefined): readonly RecordedTty[] {
  if (wanted === undefined) return recorded;
  const [first] = recorded;
  const tty = recorded.find((each) => isCalled(each, wanted)) ?? first;
  // Who recorded a path need not say it again, and it may be another one by now.
  if (tty && (isCalled(tty, wanted) || wanted === '0' || recorded.length === 1)) return [tty];
  throw noSuchTty(`--tty ${wanted}`, recorded);
}

function isCalled({ path, names = [] }: RecordedTty, name: string): boolean {
  return path === name || names.includes(name);
}

function noSuchTty(what: string, recorded: readonly RecordedTty[]): RigError {
  const known = recorded.flatMap(({ path, names = [] }) => [...names, path]).join(', ');
  return new RigError(
    'usage',
    `--replay: ${what}: expected one of the recording, ${known}, found none of that name`,
  );
}

/** @throws {RigError} blame `usage` for what is no recording */
export function printCast(path: string, print: Invocation['print']): void {
  for (const line of castOf(readRecording(path, '--to-cast'))) print(line);
}
