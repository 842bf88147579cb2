/** What `sai-device --tool <command>` does under a lease: runs a program that locks the ttys for itself. */

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { exitStatusOfSignal } from '../base/exit.ts';
import { oneLine } from '../base/one-line.ts';
import { refusalOf } from '../base/program.ts';
import { type Invocation, Stopped } from '../base/run-main.ts';
import { appendFindingOfFailure, findingOf } from '../findings/findings-file.ts';
import { becomeSubreaper } from '../native/process.ts';
import { tryLockConsole } from '../tty/console-lock.ts';
import { ENV } from '../wire/env.ts';
import { consoleLockFile, type LeaseRecord } from '../wire/lease.ts';
import { readLiveLease } from './lease-file.ts';
import { Loan, type Patience } from './loan.ts';
import { type CommandEnd, CUSTODY_OF_TREE, runCommand } from './run-command.ts';
import { SignalDesk } from './signals.ts';

/** As long as a sai-expect that was given no time reads a console. */
const DEFAULT_WAIT_MS = 15 * 60_000;

/** The kernel gives no event when a flock ends. */
const LOOK_EACH_MS = 20;

export interface ToolRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** For consoles that are read, and for the holder's answer. Undefined: 15 minutes. */
  readonly waitMs: number | undefined;
  readonly graceMs: number;
  /** Its failure is one of the rig. */
  readonly isFlash: boolean;
  /** Leave no finding. */
  readonly optional: boolean;
}

/**
 * The status of the command. While it and all that it starts live, it has the ttys of the lease, and their consoles,
 * to itself; against other sai-devices they stay locked.
 *
 * @throws {RigError} blame `usage` without a lease, `busy` when a console is read for too long, `unavailable` when the
 *   lease is over, or its holder does not lend
 */
export async function runTool(request: ToolRequest, invocation: Invocation): Promise<number> {
  const lease = leaseOf(invocation.env);
  const refusal = refusalOf(request.program, invocation.env);
  if (refusal) return notStarted(refusal.status, refusal.text, request, invocation);
  const signals = new SignalDesk();
  try {
    return await runWithTtys(lease, request, { invocation, signals });
  } catch (error) {
    if (error instanceof Stopped) return exitStatusOfSignal(error.signal);
    throw error;
  }
}

interface Context {
  readonly invocation: Invocation;
  readonly signals: SignalDesk;
}

async function runWithTtys(
  lease: LeaseRecord,
  request: ToolRequest,
  { invocation, signals }: Context,
): Promise<number> {
  const { env, diagnostics } = invocation;
  const { program, args, graceMs } = request;
  const waitMs = request.waitMs ?? DEFAULT_WAIT_MS;
  const patience = {
    waitMs,
    untilMs: performance.now() + waitMs,
    stop: signals.stop,
    say: (text: string): void => diagnostics.say(text),
  };
  await using _consoles = await lockConsoles(lease, patience);
  using loan = await Loan.of(lease, patience);
  signals.stop.throwIfAborted();
  becomeSubreaper();
  const end = await runCommand(
    { program, args, env },
    { custody: CUSTODY_OF_TREE, session: 'ours', signals, graceMs, say: patience.say },
  );
  // The next reader sets the tty as it likes: so not before the holder has done so.
  await loan.giveBack(signals.stop);
  return conclude(end, lease, request, invocation);
}

/** @throws {RigError} blame `usage`, `unavailable` */
function leaseOf(env: NodeJS.ProcessEnv): LeaseRecord {
  const folder = env[ENV.deviceLease];
  if (!folder) {
    throw new RigError(
      'usage',
      '--tool: expected to run under a lease, found none; run what needs the tool under one: sai-device TYPE COMMAND',
    );
  }
  const lease = readLiveLease(folder);
  if (lease) return lease;
  throw new RigError('unavailable', `--tool: ${folder}: expected a lease, found none; it has ended`);
}

/**
 * Takes the consoles of all ttys of a lease, or none: a `sai-expect` that reads two may take them in any order.
 * They end with this process, and are not inherited.
 */
async function lockConsoles(lease: LeaseRecord, patience: Patience): Promise<AsyncDisposable> {
  const ttyCount = lease.devices.reduce((count, { ttys }) => count + ttys.length, 0);
  const paths = Array.from({ length: ttyCount }, (_, index) => join(lease.folder, consoleLockFile(index)));
  const { untilMs, waitMs, stop, say } = patience;
  for (let told: string | undefined; ; ) {
    stop.throwIfAborted();
    const locks = await tryLockAll(paths);
    if (typeof locks !== 'string') return locks;
    const name = namesOf(lease);
    if (performance.now() >= untilMs) {
      const after = waitMs === 0 ? '' : ` after ${formatDuration(waitMs)}`;
      throw new RigError(
        'busy',
        `${name}: expected its consoles to be free, ${locks} still uses one${after}; allow more with --wait`,
      );
    }
    if (told !== locks) say(`${name}: waiting for ${locks}, which uses its console`);
    told = locks;
    await delay(LOOK_EACH_MS);
  }
}

/** Or who has one of them. */
async function tryLockAll(paths: readonly string[]): Promise<AsyncDisposable | string> {
  const locks: AsyncDisposable[] = [];
  const release = async (): Promise<void> => {
    for (const lock of locks.reverse()) await lock[Symbol.asyncDispose]();
  };
  for (const path of paths) {
    const lock = tryLockConsole({ path, atRelease: 'keep' });
    if (typeof lock === 'string') {
      await release();
      return lock;
    }
    locks.push(lock);
  }
  return { [Symbol.asyncDispose]: release };
}

function conclude(end: CommandEnd, lease: LeaseRecord, request: ToolRequest, invocation: Invocation): number {
  const { program, args, isFlash } = request;
  if (end.cause === 'not started') {
    return notStarted(end.status, `${program}: ${end.detail}`, request, invocation);
  }
  if (isFlash && end.cause === 'itself' && end.status !== 0) {
    const command = oneLine([program, ...args].join(' '));
    const error = new RigError('hardware', `flash failed: status ${end.status} of ${command}`);
    leave(error, namesOf(lease), request, invocation);
  }
  return end.status;
}

/** Who typed the command has to act; the status is the one that a shell would give. */
function notStarted(status: number, text: string, request: ToolRequest, invocation: Invocation): number {
  leave(new RigError('usage', text), undefined, request, invocation);
  return status;
}

function leave(
  error: RigError,
  device: string | undefined,
  { optional }: ToolRequest,
  { env, diagnostics }: Invocation,
): void {
  diagnostics.fail(error.message);
  if (optional) return;
  const finding = findingOf('sai-device', error, device === undefined ? {} : { device });
  appendFindingOfFailure(env[ENV.findings], finding, (text) => diagnostics.fail(text));
}

function namesOf(lease: LeaseRecord): string {
  return lease.devices.map(({ name }) => name).join(' and ');
}
