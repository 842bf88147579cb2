import { isatty } from 'node:tty';
import { RigError } from '../base/errors.ts';
import { EXIT_STATUS } from '../base/exit.ts';
import type { Invocation } from '../base/run-main.ts';
import { appendFinding, type FindingContext, findingOf } from '../findings/findings-file.ts';
import type { OpenConsole } from '../tty/console.ts';
import { openTtyConsole } from '../tty/tty-console.ts';
import { ENV } from '../wire/env.ts';
import { parseCommandLine, type Request } from './cli.ts';
import { lockConsole } from './console-lock.ts';
import { jigRunner, type RunJig } from './jig-step.ts';
import { Session } from './session.ts';
import { defaultTtys, resolveTty, type TargetTty } from './target-tty.ts';
import { ExpectationError, TimeUp } from './verdict.ts';

const STDOUT = 1;

/** What a failed command tells besides its message. */
interface Told {
  request: Request | undefined;
  tty: string | undefined;
  /** The session that failed, if it got that far. */
  session: Session | undefined;
}

/** One `sai-expect`, from its arguments to its status. */
export async function runCommand(invocation: Invocation): Promise<number> {
  const told: Told = { request: undefined, tty: undefined, session: undefined };
  try {
    const request = parseCommandLine(invocation.args);
    if ('help' in request) {
      invocation.print(request.help);
      return 0;
    }
    told.request = request;
    invocation.diagnostics.verbosity = request.verbosity;
    await runRequest(request, invocation, told);
    return 0;
  } catch (error) {
    return fail(error, invocation, told);
  }
}

async function runRequest(request: Request, invocation: Invocation, told: Told): Promise<void> {
  const wanted = request.tty === undefined ? defaultTtys(invocation.env) : [request.tty];
  const ttys = (wanted.length === 0 ? ['0'] : wanted).map((each) => resolveTty(each, invocation.env));
  const runJig = jigRunner(request.script.steps, invocation.env);
  const deadline = new AbortController();
  const { timeoutMs } = request;
  const timer =
    timeoutMs === 'never' ? undefined : setTimeout(() => deadline.abort(new TimeUp(timeoutMs)), timeoutMs);
  const oneIsDone = new AbortController();
  const until = AbortSignal.any([invocation.stop, deadline.signal, oneIsDone.signal]);
  try {
    const runs = ttys.map((tty) => runOnTty(tty, request, runJig, invocation, until, told));
    // The first verdict counts, a pass like a failure; the others let go of their consoles before it is told.
    const first = Promise.race(runs).finally(() => oneIsDone.abort());
    await Promise.allSettled([first, ...runs]);
    await first;
  } finally {
    clearTimeout(timer);
  }
}

async function runOnTty(
  tty: TargetTty,
  request: Request,
  runJig: RunJig,
  invocation: Invocation,
  until: AbortSignal,
  told: Told,
): Promise<void> {
  const { diagnostics } = invocation;
  let session: Session | undefined;
  try {
    await using _lock = tty.lock
      ? await lockConsole(tty.lock, tty.label, until, (holder) =>
          diagnostics.say(`${tty.label}: waiting for ${holder}`),
        )
      : undefined;
    const open = await driverOf(request.driver);
    await using console = await open(tty.path, {
      label: tty.label,
      baudRate: request.baudRate ?? tty.baudRate,
      hangUpOnClose: tty.hangUpOnClose,
    });
    session = new Session({
      console,
      script: request.script,
      unread: tty.unread,
      onBytes: echoOf(request, invocation),
      runJig,
      detail: (text) => diagnostics.detail(text),
      onLoss: (loss) => {
        diagnostics.say(loss.message);
        addFinding(loss, invocation, request, { tty: tty.label });
      },
    });
    await session.run(until);
  } catch (error) {
    told.tty ??= tty.label;
    told.session ??= session;
    throw error;
  }
}

async function driverOf(name: Request['driver']): Promise<OpenConsole> {
  if (name === 'tty') return openTtyConsole;
  const { openSerialConsole } = await import('../tty/serial-console.ts');
  return openSerialConsole;
}

function echoOf(request: Request, invocation: Invocation): (chunk: Uint8Array) => void {
  if (request.echo === 'on a terminal' && !isatty(STDOUT)) return () => {};
  return (chunk) => invocation.print(chunk);
}

/**
 * Tells why, and answers with the status.
 *
 * @throws the error itself when it is our bug; blame `config` when the finding cannot be written
 */
function fail(error: unknown, invocation: Invocation, told: Told): number {
  if (invocation.stop.aborted) throw invocation.stop.reason;
  if (error instanceof RigError) tell(error, invocation, told);
  const step = error instanceof ExpectationError ? error.step : undefined;
  addFinding(error, invocation, told.request, {
    ...(told.tty === undefined ? {} : { tty: told.tty }),
    ...(step === undefined ? {} : { step }),
  });
  if (!(error instanceof RigError)) throw error;
  return EXIT_STATUS[error.blame];
}

function tell(error: RigError, invocation: Invocation, told: Told): void {
  invocation.diagnostics.fail(error.message);
  if (!(error instanceof ExpectationError)) return;
  const lines = told.request?.onFail === 'everything' ? told.session?.transcript.lines() : undefined;
  for (const line of lines ?? error.tail) invocation.diagnostics.fail(`  | ${line}`);
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
