/** What a run of `sai-expect` says of how it ended: on stderr, in the findings, in the log and in its outcome. */

import { RigError, reasonOf } from '../base/errors.ts';
import { EXIT_BUG, EXIT_STATUS } from '../base/exit.ts';
import { type Invocation, Stopped } from '../base/run-main.ts';
import { appendFinding, type FindingContext, findingOf } from '../findings/findings-file.ts';
import { ENV } from '../wire/env.ts';
import type { LogProxies } from './log-proxies.ts';
import type { FailedRun, OutcomeReport } from './outcome.ts';
import type { Request } from './request.ts';
import { ScriptMistakes } from './script-mistakes.ts';
import type { Session } from './session.ts';
import { ExpectationError } from './verdict.ts';

/** What a failed command tells besides its message. */
export interface Told {
  request?: Request | undefined;
  tty?: string | undefined;
  /** The session that failed, if it got that far. */
  session?: Session | undefined;
  /** Where one is wanted. */
  outcome?: OutcomeReport | undefined;
  failed?: FailedRun | undefined;
  /** Why a finding could not be told, of something that did not change how the run ended. */
  unwritten?: RigError | undefined;
  /** Open from the first step on. */
  log?: LogProxies | undefined;
}

/**
 * Tells why, and answers with the status.
 *
 * @throws the error itself when it is our bug
 */
export function tellFailure(error: unknown, invocation: Invocation, told: Told): number {
  const stopped: unknown = invocation.stop.reason;
  if (stopped instanceof Stopped) {
    const interruption = told.session?.interruption;
    told.failed = { error: interruption ?? stopped, tty: told.tty };
    tell(interruption ?? stopped, invocation, told);
    throw stopped;
  }
  told.failed = { error, tty: told.tty };
  const step = error instanceof ExpectationError ? error.step : undefined;
  let unwritten: unknown;
  try {
    addFinding(error, invocation, told.request, {
      ...(told.tty === undefined ? {} : { tty: told.tty }),
      ...(step === undefined ? {} : { step }),
    });
  } catch (failure) {
    unwritten = failure;
  }
  if (!(error instanceof RigError)) throw error;
  tell(error, invocation, told);
  if (unwritten instanceof RigError) tell(unwritten, invocation, told);
  else if (unwritten !== undefined) throw unwritten;
  return EXIT_STATUS[error.blame];
}

function tell(error: RigError | Stopped, { diagnostics }: Invocation, told: Told): void {
  told.log?.remark(error.message);
  for (const line of error instanceof ScriptMistakes ? error.lines : [error.message]) diagnostics.fail(line);
  if (!(error instanceof ExpectationError)) return;
  const lines = told.request?.onFail === 'everything' ? told.session?.transcript.tail().lines : undefined;
  for (const line of lines ?? error.tail) diagnostics.fail(`  | ${line}`);
}

/** What has been lost besides: said, and a finding. It takes the place of no other failure. */
export function tellLoss(
  loss: unknown,
  invocation: Invocation,
  told: Told,
  context: Pick<FindingContext, 'tty'> = {},
): void {
  invocation.diagnostics.say(reasonOf(loss));
  addLoss(loss, invocation, told, context);
}

function addLoss(
  loss: unknown,
  invocation: Invocation,
  told: Told,
  context: Pick<FindingContext, 'tty'>,
): void {
  try {
    addFinding(loss, invocation, told.request, context);
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    invocation.diagnostics.fail(error.message);
    told.unwritten ??= error;
  }
}

function addFinding(
  error: unknown,
  invocation: Invocation,
  request: Request | undefined,
  context: Pick<FindingContext, 'tty' | 'step'>,
): void {
  if (request?.findings === 'optional') return;
  const device = invocation.env[ENV.deviceName];
  const finding = findingOf('sai-expect', error, { ...context, ...(device ? { device } : {}) });
  const tail = error instanceof ExpectationError ? error.tail.map((line) => ` | ${line}`).join('') : '';
  appendFinding(invocation.env[ENV.findings], { ...finding, evidence: `${finding.evidence}${tail}` });
}

/** The last that is told; what of it cannot be told is a failure of a run that had none. Answers with the status. */
export function tellOutcome(status: number, invocation: Invocation, told: Told): number {
  const { unwritten } = told;
  if (unwritten) told.failed ??= { error: unwritten, tty: undefined };
  const failure = told.failed === undefined ? undefined : status || blameStatus(told.failed.error);
  try {
    told.outcome?.finish(told.failed, invocation.stop);
    return failure ?? status;
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    tell(error, invocation, told);
    addLoss(error, invocation, told, {});
    return failure ?? EXIT_STATUS[error.blame];
  }
}

function blameStatus(error: unknown): number {
  return error instanceof RigError ? EXIT_STATUS[error.blame] : EXIT_BUG;
}
