/** What `sai-logproxy CMD` does: opens the log, runs the command, keeps what comes, says what came of it. */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { isatty } from 'node:tty';
import { Diagnostics } from '../base/diagnostics.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { EXIT_CANNOT_START, EXIT_STATUS, exitStatusOfSignal } from '../base/exit.ts';
import { refusalOf } from '../base/program.ts';
import type { Invocation } from '../base/run-main.ts';
import { appendFindingOfFailure, findingOf } from '../findings/findings-file.ts';
import { ENV } from '../wire/env.ts';
import { CHANNEL } from '../wire/log.ts';
import { ChannelSockets, withoutLogproxies } from './channel-sockets.ts';
import { ChildOutput } from './child-output.ts';
import { JsonView, type LiveView, MergedView, NO_VIEW } from './live-view.ts';
import { Output } from './output.ts';
import { type ChannelSummary, RunLog, type RunLogOptions } from './run-log.ts';
import { SignalRelay } from './signal-relay.ts';
import { timeNow } from './sink.ts';
import type { Colour } from './view.ts';

const STDOUT = 1;
const STDERR = 2;

export interface RunRequest {
  readonly folder: string;
  readonly ifTaken: RunLogOptions['ifTaken'];
  readonly program: string;
  readonly args: readonly string[];
  readonly ttyCount: number;
  /** `command` is its own output, where it would have gone without us. */
  readonly view: 'merged' | 'json' | 'command';
  readonly colour: Colour;
  readonly findings: 'wanted' | 'optional';
}

/** The status of the command; that of a full disk when only the log of it failed. */
export async function runUnderProxy(request: RunRequest, invocation: Invocation): Promise<number> {
  const { env } = invocation;
  const signals = new SignalRelay(isatty(0) ? 'a terminal' : 'something else');
  const outputs = { stdout: new Output(STDOUT), stderr: new Output(STDERR) };
  const diagnostics = diagnosticsOn(outputs.stderr, invocation.diagnostics);
  const view = viewOf(request, outputs.stdout);
  const log = openLog(request, view, diagnostics);
  const end = await runLogged(request, env, log, { signals, outputs, diagnostics });
  if (end.refusal !== undefined) {
    log.discard();
    diagnostics.fail(end.refusal);
    tellFinding(request, env, new RigError('usage', end.refusal), diagnostics);
    await outputs.stderr.flush();
    return signals.stoppedBy ? stoppedStatus(signals.stoppedBy, outputs) : end.status;
  }
  const channels = await log.close();
  view.end();
  if (request.view === 'json')
    outputs.stdout.write(Buffer.from(`${JSON.stringify({ folder: log.folder, channels })}\n`));
  diagnostics.say(summaryLine(log.folder, channels));
  const loss = lossOf(log.folder, channels);
  if (loss) {
    diagnostics.fail(loss.message);
    tellFinding(request, env, loss, diagnostics);
  }
  await Promise.all([outputs.stdout.flush(), outputs.stderr.flush()]);
  if (signals.stoppedBy) return stoppedStatus(signals.stoppedBy, outputs);
  return loss && end.status === 0 ? EXIT_STATUS[loss.blame] : end.status;
}

/** In line with what the command says on stderr, and as little held up by who reads it. */
function diagnosticsOn(stderr: Output, { command, verbosity }: Diagnostics): Diagnostics {
  const diagnostics = new Diagnostics(command, (text) => stderr.write(Buffer.from(text)));
  diagnostics.verbosity = verbosity;
  return diagnostics;
}

/** A process with a thread that waits for a reader ends by a signal or not at all. */
function stoppedStatus(signal: NodeJS.Signals, { stdout, stderr }: Outputs): number {
  if (stdout.isStuck || stderr.isStuck) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  return exitStatusOfSignal(signal);
}

interface Outputs {
  readonly stdout: Output;
  readonly stderr: Output;
}

interface CommandEnd {
  readonly status: number;
  /** Why it could not be started. */
  readonly refusal?: string;
}

interface RunParts {
  readonly signals: SignalRelay;
  readonly outputs: Outputs;
  readonly diagnostics: Diagnostics;
}

/** Runs the command to its end, and until everything that was written by then is in the log. */
async function runLogged(
  request: RunRequest,
  env: NodeJS.ProcessEnv,
  log: RunLog,
  { signals, outputs, diagnostics }: RunParts,
): Promise<CommandEnd> {
  await using sockets = await openSockets(request, env, log, diagnostics);
  const relayTo = request.view === 'command' ? outputs : undefined;
  const streams = openStreams(log, relayTo);
  try {
    const exit = startCommand(request, {
      env: { ...withoutLogproxies(env), ...sockets.env },
      stdio: ['inherit', ...streams.map((stream) => stream.writeFd)],
      onStarted: (child) => signals.passOnTo(child),
    });
    for (const stream of streams) stream.releaseWriteEnd();
    const end = await exit;
    signals.commandEnded(end.status, () => {
      outputs.stdout.giveUp();
      outputs.stderr.giveUp();
    });
    await Promise.all([sockets.settle(), ...streams.map((stream) => stream.settle())]);
    const cutOff = streams.filter((stream) => stream.isOpen).length + sockets.openWriters;
    if (cutOff > 0)
      diagnostics.say(
        `${cutOff} ${cutOff === 1 ? 'writer' : 'writers'} went on when the command had ended; what they write now is not kept`,
      );
    return end;
  } finally {
    for (const stream of streams) stream.close();
  }
}

/** @throws {RigError} when there can be none; nothing is left of the log then */
async function openSockets(
  request: RunRequest,
  env: NodeJS.ProcessEnv,
  log: RunLog,
  diagnostics: Diagnostics,
): Promise<ChannelSockets> {
  try {
    return await ChannelSockets.open({
      parentFolders: [env['XDG_RUNTIME_DIR'] || tmpdir(), tmpdir()],
      ttyCount: request.ttyCount,
      sinkOf: (channel) => log.channel(channel),
      onRefusedWriter: (channel) =>
        diagnostics.say(`${channel}: a writer was turned away: too many at once; raise ulimit -n`),
      onBrokenWriter: (channel, writer) =>
        diagnostics.say(
          `${channel}: writer ${writer} broke the format of framed writers; the rest of it is kept raw`,
        ),
    });
  } catch (error) {
    log.discard();
    throw error;
  }
}

/** @throws {RigError} when there can be none; nothing is left of the log then */
function openStreams(log: RunLog, relayTo: Outputs | undefined): ChildOutput[] {
  const streams: ChildOutput[] = [];
  try {
    streams.push(new ChildOutput(log.channel(CHANNEL.stdout), relayTo?.stdout));
    streams.push(new ChildOutput(log.channel(CHANNEL.stderr), relayTo?.stderr));
    return streams;
  } catch (error) {
    for (const stream of streams) {
      stream.releaseWriteEnd();
      stream.close();
    }
    log.discard();
    throw new RigError(
      'config',
      `cannot make the pipes for the output of the command: ${reasonOf(error)}; raise ulimit -n, or lower --ttys`,
      { cause: error },
    );
  }
}

interface StartOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly stdio: StdioOptions;
  readonly onStarted: (child: ChildProcess) => void;
}

/** Resolves when the command has ended, or could not be started. */
async function startCommand(
  { program, args }: RunRequest,
  { env, stdio, onStarted }: StartOptions,
): Promise<CommandEnd> {
  try {
    const child = spawn(program, args, { env, stdio });
    onStarted(child);
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return { status: signal ? exitStatusOfSignal(signal) : (code ?? EXIT_CANNOT_START) };
  } catch (error) {
    const { status, text } = refusalOf(program, env) ?? {
      status: EXIT_CANNOT_START,
      text: `${program}: cannot be started: ${reasonOf(error)}`,
    };
    return { status, refusal: text };
  }
}

function openLog(request: RunRequest, view: LiveView, diagnostics: Diagnostics): RunLog {
  const { atMs, monotonicNs } = timeNow();
  const command = [request.program, ...request.args];
  let isInTrouble = false;
  const log = new RunLog({
    folder: request.folder,
    ifTaken: request.ifTaken,
    facts: { command, startedAtMs: atMs, startedMonotonicNs: monotonicNs },
    onRecord: (record) => view.push(record),
    onTrouble: (channel, error) => {
      if (isInTrouble) return; // the other channels are on the same disk
      isInTrouble = true;
      diagnostics.fail(
        `${log.folder}: ${channel}: cannot be written: ${reasonOf(error)}; the command goes on, what cannot be kept is counted`,
      );
    },
  });
  return log;
}

/** Of what fails the run anyway. */
function tellFinding(
  { findings }: RunRequest,
  env: NodeJS.ProcessEnv,
  error: RigError,
  diagnostics: Diagnostics,
): void {
  if (findings === 'optional') return;
  appendFindingOfFailure(env[ENV.findings], findingOf('sai-logproxy', error), (text) =>
    diagnostics.fail(text),
  );
}

function viewOf(request: RunRequest, stdout: Output): LiveView {
  if (request.view === 'json') return new JsonView(stdout);
  return request.view === 'merged' ? new MergedView(stdout, request.colour) : NO_VIEW;
}

function summaryLine(folder: string, channels: readonly ChannelSummary[]): string {
  if (channels.length === 0) return `${folder}: nothing was written`;
  const each = channels.map(({ name, bytes, sentBytes, gaps, lostBytes }) => {
    const sent = sentBytes === 0 ? '' : ` and ${sentBytes} sent`;
    const missing = gaps === 0 && lostBytes === 0 ? '' : ` (${gaps} gaps, ${lostBytes} bytes missing)`;
    return `${name}.log ${bytes} bytes${sent}${missing}`;
  });
  return `${folder}: ${each.join(', ')}`;
}

/** What no gap in the files tells of. */
function lossOf(folder: string, channels: readonly ChannelSummary[]): RigError | undefined {
  const incomplete = channels.filter((channel) => channel.state === 'incomplete');
  if (incomplete.length === 0) return undefined;
  const each = incomplete.map(({ name, lostBytes }) => `${name} lacks ${lostBytes} bytes`);
  return new RigError(
    'hardware',
    `${folder}: the disk did not take the whole log: ${each.join(', ')}; make room`,
  );
}
