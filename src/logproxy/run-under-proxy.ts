/** What `sai-logproxy CMD` does: opens the log, runs the command, keeps what comes, says what came of it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { isatty } from 'node:tty';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { EXIT_CANNOT_START, EXIT_NOT_FOUND, EXIT_STATUS, exitStatusOfSignal } from '../base/exit.ts';
import type { Invocation } from '../base/run-main.ts';
import { appendFinding, findingOf } from '../findings/findings-file.ts';
import { ENV } from '../wire/env.ts';
import { CHANNEL, type LogRecord } from '../wire/log.ts';
import { ChannelSockets, withoutLogproxies } from './channel-sockets.ts';
import { ChildOutput } from './child-output.ts';
import { JsonView, type LiveView, MergedView, NO_VIEW } from './live-view.ts';
import { Output } from './output.ts';
import { type ChannelSummary, RunLog } from './run-log.ts';
import { SignalRelay } from './signal-relay.ts';
import { timeNow } from './sink.ts';
import type { Colour } from './view.ts';

export interface RunRequest {
  readonly folder: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly ttyCount: number;
  /** `command` is its own output, where it would have gone without us. */
  readonly view: 'merged' | 'json' | 'command';
  readonly colour: Colour;
}

/** The status of the command; that of a full disk when only the log of it failed. */
export async function runUnderProxy(request: RunRequest, invocation: Invocation): Promise<number> {
  const { env, diagnostics } = invocation;
  const signals = new SignalRelay(isatty(0) ? 'a terminal' : 'something else');
  const stdout = new Output(1);
  const view = viewOf(request, stdout);
  let isInTrouble = false;
  const log = openLog(request, {
    onRecord: (record) => view.push(record),
    onTrouble: (channel, error) => {
      if (isInTrouble) return;
      isInTrouble = true;
      diagnostics.fail(
        `${request.folder}: ${channel}: cannot be written: ${reasonOf(error)}; the command goes on, what cannot be kept is counted`,
      );
    },
  });
  let end: CommandEnd;
  try {
    end = await runLogged(request, invocation, log, { signals, stdout });
  } catch (error) {
    log.discard();
    throw error;
  }
  if (end.refusal !== undefined) {
    log.discard();
    diagnostics.fail(end.refusal);
    return end.status;
  }
  const channels = await log.close();
  view.end();
  if (request.view === 'json')
    stdout.write(Buffer.from(`${JSON.stringify({ folder: log.folder, channels })}\n`));
  await stdout.flush();
  if (end.cutOffWriters > 0) {
    diagnostics.say(
      `${end.cutOffWriters} writers went on when the command had ended; what they write now is not kept`,
    );
  }
  diagnostics.say(summaryLine(log.folder, channels));
  const status = signals.stoppedBy ? exitStatusOfSignal(signals.stoppedBy) : end.status;
  const loss = lossOf(log.folder, channels);
  if (!loss) return status;
  diagnostics.fail(loss.message);
  appendFinding(env[ENV.findings], findingOf('sai-logproxy', loss));
  return status === 0 ? EXIT_STATUS[loss.blame] : status;
}

interface CommandEnd {
  readonly status: number;
  /** Why it could not be started. */
  readonly refusal?: string;
  readonly cutOffWriters: number;
}

interface RunParts {
  readonly signals: SignalRelay;
  readonly stdout: Output;
}

/** Runs the command to its end, and until everything that was written by then is in the log. */
async function runLogged(
  request: RunRequest,
  invocation: Invocation,
  log: RunLog,
  { signals, stdout }: RunParts,
): Promise<CommandEnd> {
  const { env, diagnostics } = invocation;
  await using sockets = await ChannelSockets.open({
    parentFolders: [env['XDG_RUNTIME_DIR'] || tmpdir(), tmpdir()],
    ttyCount: request.ttyCount,
    sinkOf: (channel) => log.channel(channel),
    onBrokenWriter: (channel, writer) =>
      diagnostics.say(
        `${channel}: writer ${writer} broke the format of framed writers; the rest of it is kept raw`,
      ),
  });
  const isRelayed = request.view === 'command';
  const stderr = new Output(2);
  const outputs = [
    new ChildOutput(log.channel(CHANNEL.stdout), isRelayed ? stdout : undefined),
    new ChildOutput(log.channel(CHANNEL.stderr), isRelayed ? stderr : undefined),
  ];
  try {
    const child = spawn(request.program, request.args, {
      env: { ...withoutLogproxies(env), ...sockets.env },
      stdio: ['inherit', ...outputs.map((output) => output.writeFd)],
    });
    const exit = exitOf(child, request.program);
    for (const output of outputs) output.releaseWriteEnd();
    signals.passOnTo(child);
    const end = await exit;
    await Promise.all([sockets.settle(), ...outputs.map((output) => output.settle())]);
    const open = outputs.filter((output) => output.isOpen).length + sockets.openWriters;
    await stderr.flush();
    return { ...end, cutOffWriters: open };
  } finally {
    for (const output of outputs) output.close();
  }
}

function exitOf(child: ChildProcess, program: string): Promise<Omit<CommandEnd, 'cutOffWriters'>> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      const isMissing = errnoCode(error) === 'ENOENT';
      resolve({
        status: isMissing ? EXIT_NOT_FOUND : EXIT_CANNOT_START,
        refusal: isMissing
          ? `${program}: command not found`
          : `${program}: cannot be started: ${reasonOf(error)}`,
      });
    });
    child.once('exit', (code, signal) => {
      resolve({ status: signal ? exitStatusOfSignal(signal) : (code ?? EXIT_CANNOT_START) });
    });
  });
}

function openLog(
  request: RunRequest,
  listener: {
    readonly onRecord: (record: LogRecord) => void;
    readonly onTrouble: (channel: string, error: unknown) => void;
  },
): RunLog {
  const { atMs, monotonicNs } = timeNow();
  const command = [request.program, ...request.args];
  const facts = { command, startedAtMs: atMs, startedMonotonicNs: monotonicNs };
  return new RunLog({ folder: request.folder, facts, ...listener });
}

function viewOf(request: RunRequest, stdout: Output): LiveView {
  if (request.view === 'json') return new JsonView(stdout);
  return request.view === 'merged' ? new MergedView(stdout, request.colour) : NO_VIEW;
}

function summaryLine(folder: string, channels: readonly ChannelSummary[]): string {
  if (channels.length === 0) return `${folder}: nothing was written`;
  const each = channels.map(({ name, bytes, gaps, lostBytes }) => {
    const missing = gaps === 0 && lostBytes === 0 ? '' : ` (${gaps} gaps, ${lostBytes} bytes missing)`;
    return `${name}.log ${bytes} bytes${missing}`;
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
