import { isatty } from 'node:tty';
import { Diagnostics } from '../base/diagnostics.ts';
import { EXIT_BUG } from '../base/exit.ts';
import type { Invocation } from '../base/run-main.ts';
import { ENV } from '../wire/env.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import { type KnownFlags, parseCommandLine } from './cli.ts';
import { REAL_CLOCK } from './clock.ts';
import { lockConsole } from './console-lock.ts';
import { driverOf } from './driver.ts';
import { openEcho, STDOUT } from './echo.ts';
import { Ensemble } from './ensemble.ts';
import { startTransfer } from './file-transfer.ts';
import { firstVerdict } from './first-verdict.ts';
import { followedOpener } from './followed-opener.ts';
import { jigRunner, type RunJig } from './jig-step.ts';
import { LogProxies, withSendsLogged } from './log-proxies.ts';
import type { OutcomeReport } from './outcome.ts';
import { PatientOutput } from './patient-output.ts';
import type { Recorder } from './recorder.ts';
import type { Request } from './request.ts';
import { Session } from './session.ts';
import type { ResultsOfSession } from './session-results.ts';
import { defaultTtys, resolveAmong, resolveTty, type TargetTty } from './target-tty.ts';
import { type Told, tellFailure, tellLoss, tellOutcome } from './telling.ts';
import { claimTty } from './tty-claim.ts';
import { TimeUp } from './verdict.ts';

const STDERR = 2;
const NEWLINE = 0x0a;

/** One `sai-expect`, from its arguments to its status. `regexProgram` is what runs the regexes of `--unsafe-regex`. */
export async function runCommand(invocation: Invocation, regexProgram: string): Promise<number> {
  // What a stalled stderr does not take, the status and the findings tell as well.
  await using stderr = new PatientOutput(STDERR, () => {});
  const diagnostics = new Diagnostics(invocation.diagnostics.command, (text) =>
    stderr.write(Buffer.from(text)),
  );
  return await runTold({ ...invocation, diagnostics }, regexProgram);
}

async function runTold(invocation: Invocation, regexProgram: string): Promise<number> {
  const told: Told = {};
  try {
    const status = await runAndLog(invocation, regexProgram, told);
    return tellOutcome(status, invocation, told);
  } catch (error) {
    told.failed ??= { error, tty: told.tty };
    tellOutcome(EXIT_BUG, invocation, told);
    throw error;
  }
}

async function runAndLog(invocation: Invocation, regexProgram: string, told: Told): Promise<number> {
  try {
    return await runAndTell(invocation, regexProgram, told);
  } finally {
    if (invocation.stop.aborted) told.log?.remark('told to stop');
    const loss = await told.log?.close();
    if (loss) tellLoss(loss, invocation, told);
  }
}

async function runAndTell(invocation: Invocation, regexProgram: string, told: Told): Promise<number> {
  const known: KnownFlags = {};
  try {
    const unsafe = await unsafeEngineFor(invocation.args, regexProgram);
    let request = parseCommandLine(invocation.args, unsafe, known);
    if ('help' in request) {
      invocation.print(request.help);
      return 0;
    }
    if ('profiles' in request) {
      const { describeProfiles } = await import('./profiles.ts');
      invocation.print(await describeProfiles());
      return 0;
    }
    told.request = request;
    if (request.toCast !== undefined) {
      const { printCast } = await import('./replay-command.ts');
      printCast(request.toCast, invocation.print);
      return 0;
    }
    invocation.diagnostics.verbosity = request.verbosity;
    told.outcome = await outcomeFor(request, invocation);
    if (request.scriptFile) {
      const { withScript } = await import('./script-request.ts');
      const { whole, plan } = await withScript(request, request.scriptFile, invocation.env, unsafe);
      request = whole;
      told.request = whole;
      if (plan !== undefined) {
        invocation.print(plan);
        return 0;
      }
    }
    told.log = await LogProxies.open(invocation.env, (text) => invocation.diagnostics.say(text));
    told.log.remark('starting');
    await runRequest(request, invocation, told);
    told.log.remark('passed');
    return 0;
  } catch (error) {
    // A command line that is wrong, as far as it is known; where that file is wrong too, the first mistake is told.
    if (!told.request) told.outcome = await outcomeFor(known, invocation).catch(() => undefined);
    return tellFailure(error, invocation, told);
  }
}

/** Loaded for those who ask for it. */
async function outcomeFor(
  { json }: KnownFlags,
  { env, print }: Invocation,
): Promise<OutcomeReport | undefined> {
  if (json === undefined) return undefined;
  const { OutcomeReport } = await import('./outcome.ts');
  return new OutcomeReport(json, env[ENV.deviceName], print);
}

/** Loaded for those few who ask for it. */
async function unsafeEngineFor(
  args: readonly string[],
  regexProgram: string,
): Promise<UnsafeEngine | undefined> {
  if (!args.includes('--unsafe-regex')) return undefined;
  const { UnsafeRegexes } = await import('./unsafe-regexes.ts');
  return new UnsafeRegexes(regexProgram);
}

async function runRequest(request: Request, invocation: Invocation, told: Told): Promise<void> {
  if (request.replay !== undefined) return await replayRequest(request, request.replay, invocation, told);
  const wanted = request.tty === undefined ? defaultTtys(invocation.env) : [request.tty];
  const ttys = (wanted.length === 0 ? ['0'] : wanted).map((each) => resolveTty(each, invocation.env));
  const ensemble = new Ensemble(request.script.steps, ttys, (name, known) =>
    resolveAmong(name, known, invocation.env),
  );
  const askJig = jigRunner(request.script.steps, invocation.env);
  const runJig = told.log?.jig(askJig) ?? askJig;
  const recorder = await recorderFor(request, ensemble.ttys, invocation);
  const results = await resultsFor(request, invocation, invocation.env[ENV.deviceName]);
  const deadline = new AbortController();
  const { timeoutMs } = request;
  const timer =
    timeoutMs === 'never'
      ? undefined
      : REAL_CLOCK.after(timeoutMs, () => deadline.abort(new TimeUp(timeoutMs, 'the run')));
  const oneIsDone = new AbortController();
  const until = AbortSignal.any([invocation.stop, deadline.signal, oneIsDone.signal]);
  await using echo = openEcho(request, invocation);
  let lastByte = NEWLINE;
  const onBytes = (chunk: Uint8Array): void => {
    echo?.write(chunk);
    lastByte = chunk.at(-1) ?? lastByte;
  };
  try {
    const decided: number[] = [];
    const run: Run = {
      request,
      runJig,
      recorder,
      results,
      invocation,
      until,
      onBytes,
      told,
      ensemble,
      decided,
    };
    const runs = ensemble.ttys.map((tty, index) => runOnTty(tty, index, run));
    // The first verdict counts, a pass like a failure; the others let go of their consoles before it is told.
    const first = reported(firstVerdict(runs, decided), results, invocation, told).finally(() =>
      oneIsDone.abort(),
    );
    await Promise.allSettled([first, ...runs]);
    // What follows on a terminal, our own line or the shell's prompt, begins a line of its own.
    if (isatty(STDOUT) && lastByte !== NEWLINE) echo?.write(Buffer.of(NEWLINE));
    await first;
    recorder?.end(undefined);
  } catch (error) {
    recorder?.end(error);
    throw error;
  } finally {
    timer?.cancel();
    const loss = recorder?.close();
    if (loss) tellLoss(loss, invocation, told);
  }
}

/** Loaded for those who ask for it. */
async function recorderFor(
  { record, baudRate }: Request,
  ttys: readonly TargetTty[],
  { env }: Invocation,
): Promise<Recorder | undefined> {
  if (record === undefined) return undefined;
  const { recorderOf } = await import('./recorder.ts');
  return recorderOf(record, ttys, { baudRate, device: env[ENV.deviceName] });
}

async function replayRequest(
  request: Request,
  path: string,
  invocation: Invocation,
  told: Told,
): Promise<void> {
  const { runReplay } = await import('./replay-command.ts');
  const { readRecording } = await import('./recording-file.ts');
  const recording = readRecording(path, '--replay');
  await using echo = openEcho(request, invocation);
  const results = await resultsFor(request, invocation, recording.head.device);
  const onBytes = (chunk: Uint8Array): void => echo?.write(chunk);
  const onFailure = (session: Session, label: string): void => {
    told.tty ??= label;
    told.session ??= session;
  };
  const replaying = runReplay({
    request,
    recording,
    invocation,
    results,
    outcome: told.outcome,
    onBytes,
    onFailure,
  });
  await reported(replaying, results, invocation, told);
}

/** What the sessions of one command have in common. */
interface Run {
  readonly request: Request;
  readonly runJig: RunJig;
  readonly recorder: Recorder | undefined;
  /** There is one tty, then. */
  readonly results: ResultsOfSession | undefined;
  readonly invocation: Invocation;
  readonly until: AbortSignal;
  readonly onBytes: (chunk: Uint8Array) => void;
  readonly told: Told;
  readonly ensemble: Ensemble<TargetTty>;
  /** Indices of ttys. */
  readonly decided: number[];
}

async function runOnTty(tty: TargetTty, index: number, run: Run): Promise<void> {
  const { request, runJig, recorder, results, invocation, until, onBytes, told, ensemble } = run;
  const { diagnostics } = invocation;
  let session: Session | undefined;
  try {
    const onWait = (holder: string): void => diagnostics.say(`${tty.label}: waiting for ${holder}`);
    await using _lock = tty.lock ? await lockConsole(tty.lock, tty.label, until, onWait) : undefined;
    using _claim =
      tty.heldBy === 'nobody'
        ? await claimTty(tty.path, { label: tty.label, env: invocation.env, until, onWait })
        : undefined;
    const driver = await driverOf(request.driver);
    const open = await followedOpener(driver, tty, request.port.follow, until, (text, presence) => {
      recorder?.presence(index, presence);
      told.log?.remark(text);
      diagnostics.detail(text);
    });
    const log = await told.log?.tty(tty.label, tty.logIndex);
    await using console = await open(tty.path, {
      label: tty.label,
      baudRate: request.baudRate ?? tty.baudRate,
      hangUpOnClose: tty.hangUpOnClose,
      format: request.port.format,
      flow: request.port.flow,
    });
    session = new Session({
      console: recorder?.console(withSendsLogged(console, log), index) ?? withSendsLogged(console, log),
      script: request.script,
      unread: recorder?.unread(tty.unread, index) ?? tty.unread,
      onBytes: (chunk) => {
        log?.send(chunk);
        onBytes(chunk);
      },
      runJig: recorder?.jig(runJig, index) ?? runJig,
      startTransfer: recorder?.transfers(startTransfer, index) ?? startTransfer,
      ...(isatty(STDERR) ? { onProgress: (text: string) => diagnostics.progress(text) } : {}),
      deviceCrash: tty.crash,
      // Those of the tty that the script is for.
      results: index === 0 ? results : undefined,
      onQuiet: recorder ? () => recorder.quiet(index) : undefined,
      ...ensemble.partsOf(tty),
      detail: (text) => {
        told.log?.remark(text);
        diagnostics.detail(text);
      },
      onDecided: () => run.decided.push(index),
      onStep: (step, matched) => told.outcome?.step(tty.label, step, matched),
      onAccount: (account) => told.outcome?.account(tty.label, account),
      logGapBytes: () => log?.gapBytes ?? 0,
      onLoss: (loss) => tellLoss(loss, invocation, told, { tty: tty.label }),
    });
    const running = session.run(until);
    ensemble.joined(tty, session);
    await running;
  } catch (error) {
    if (error instanceof TimeUp) throw error; // of a tty that is not at fault
    if (session && error === invocation.stop.reason && !session.interruption) throw error;
    told.tty ??= tty.label;
    told.session ??= session;
    throw error;
  }
}

/** What a session comes to, with its results told. */
async function reported(
  running: Promise<void>,
  results: ResultsOfSession | undefined,
  invocation: Invocation,
  told: Told,
): Promise<void> {
  try {
    await running;
  } catch (failure) {
    try {
      results?.finish(failure);
    } catch (error) {
      // Told as well; what the board did comes first.
      tellLoss(error, invocation, told);
    }
    throw failure;
  }
  results?.finish(undefined);
}

/** Loaded for those who ask for it. */
async function resultsFor(
  request: Request,
  { diagnostics }: Invocation,
  device: string | undefined,
): Promise<ResultsOfSession | undefined> {
  if (!request.results) return undefined;
  const { ResultsOfSession } = await import('./session-results.ts');
  return new ResultsOfSession(request.results, device || 'board', (text) => diagnostics.say(text));
}
