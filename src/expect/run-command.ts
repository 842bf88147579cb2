import { isatty } from 'node:tty';
import { Diagnostics } from '../base/diagnostics.ts';
import { RigError } from '../base/errors.ts';
import { EXIT_STATUS } from '../base/exit.ts';
import type { Invocation } from '../base/run-main.ts';
import { appendFinding, type FindingContext, findingOf } from '../findings/findings-file.ts';
import { isWritable } from '../native/poll.ts';
import type { OpenConsole } from '../tty/console.ts';
import { openTtyConsole } from '../tty/tty-console.ts';
import { ENV } from '../wire/env.ts';
import { parseCommandLine, type Request } from './cli.ts';
import { lockConsole } from './console-lock.ts';
import { jigRunner, type RunJig } from './jig-step.ts';
import { PatientOutput } from './patient-output.ts';
import { Session } from './session.ts';
import { defaultTtys, resolveTty, type TargetTty } from './target-tty.ts';
import { ExpectationError, TimeUp } from './verdict.ts';

const STDOUT = 1;
const STDERR = 2;

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
    return await fail(error, invocation, told);
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
  await using echo = openEcho(request, invocation);
  const onBytes = (chunk: Uint8Array): void => echo?.write(chunk);
  try {
    const runs = ttys.map((tty) => runOnTty(tty, { request, runJig, invocation, until, onBytes, told }));
    // The first verdict counts, a pass like a failure; the others let go of their consoles before it is told.
    const first = Promise.race(runs).finally(() => oneIsDone.abort());
    await Promise.allSettled([first, ...runs]);
    await first;
  } finally {
    clearTimeout(timer);
  }
}

/** What the sessions of one command have in common. */
interface Run {
  readonly request: Request;
  readonly runJig: RunJig;
  readonly invocation: Invocation;
  readonly until: AbortSignal;
  readonly onBytes: (chunk: Uint8Array) => void;
  readonly told: Told;
}

async function runOnTty(tty: TargetTty, run: Run): Promise<void> {
  const { request, runJig, invocation, until, onBytes, told } = run;
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
      onBytes,
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

function openEcho(request: Request, { diagnostics }: Invocation): PatientOutput | undefined {
  if (request.echo === 'on a terminal' && !isatty(STDOUT)) return undefined;
  return new PatientOutput(STDOUT, (lostBytes) => {
    // Often the same pipe.
    if (isWritable(STDERR))
      diagnostics.say(`${lostBytes} bytes of the board are not shown: stdout is not read`);
  });
}

/**
 * Tells why, and answers with the status.
 *
 * @throws the error itself when it is our bug; blame `config` when the finding cannot be written
 */
async function fail(error: unknown, invocation: Invocation, told: Told): Promise<number> {
  if (invocation.stop.aborted) throw invocation.stop.reason;
  const step = error instanceof ExpectationError ? error.step : undefined;
  try {
    addFinding(error, invocation, told.request, {
      ...(told.tty === undefined ? {} : { tty: told.tty }),
      ...(step === undefined ? {} : { step }),
    });
  } finally {
    if (error instanceof RigError) await tell(error, invocation, told);
  }
  if (!(error instanceof RigError)) throw error;
  return EXIT_STATUS[error.blame];
}

/** What a stalled stderr does not take, the status and the finding tell as well. */
async function tell(error: RigError, { diagnostics }: Invocation, told: Told): Promise<void> {
  await using stderr = new PatientOutput(STDERR, () => {});
  const patient = new Diagnostics(diagnostics.command, (text) => stderr.write(Buffer.from(text)));
  patient.fail(error.message);
  if (!(error instanceof ExpectationError)) return;
  const lines = told.request?.onFail === 'everything' ? told.session?.transcript.lines() : undefined;
  for (const line of lines ?? error.tail) patient.fail(`  | ${line}`);
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
