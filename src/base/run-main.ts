/** The thin top of every command: the only place that reads the process and ends it. */

import { writeSync } from 'node:fs';
import { Diagnostics } from './diagnostics.ts';
import { errnoCode, RigError, reasonOf } from './errors.ts';
import { EXIT_BUG, EXIT_STATUS, exitStatusOfSignal } from './exit.ts';

/** What a command gets from its process. Everything else it needs, it opens itself. */
export interface Invocation {
  /** Arguments after the command's name. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly diagnostics: Diagnostics;
  /** Aborted, with a {@link Stopped} as reason, at the first signal that asks the command to stop. */
  readonly stop: AbortSignal;
  /** Writes to stdout, blocking until the kernel has taken all of it. @throws {RigError} blame `unavailable`: a full disk */
  readonly print: (data: string | Uint8Array) => void;
}

/** Why `stop` was aborted. */
export class Stopped extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`told to stop by ${signal}`);
    this.name = 'Stopped';
    this.signal = signal;
  }
}

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs a command and ends the process with its status.
 *
 * `signals: 'own'` leaves signals to the body; otherwise the first one aborts `stop`, and the process
 * answers 128 + its number once the body has cleaned up, whatever the body then returns or throws.
 */
export async function runMain(
  command: string,
  body: (invocation: Invocation) => Promise<number>,
  options: { readonly signals: 'stop' | 'own' } = { signals: 'stop' },
): Promise<never> {
  giveBackCertificates(process.env);
  const stopper = new AbortController();
  if (options.signals === 'stop') {
    for (const signal of STOP_SIGNALS) process.on(signal, () => stopper.abort(new Stopped(signal)));
  }
  const diagnostics = new Diagnostics(command, (text) => writeAll(2, text));
  const end = (status: number): never => {
    const reason: unknown = stopper.signal.reason;
    process.exit(reason instanceof Stopped ? exitStatusOfSignal(reason.signal) : status);
  };
  // Thrown in a timer or a listener: no body can catch it, and Node's own answer is 1, the verdict that blames the DUT.
  process.on('uncaughtException', (error) => end(statusOfFailure(error, diagnostics, stopper.signal)));
  // The body waits for something that cannot come any more; Node's own answer is 0, a pass.
  process.on('beforeExit', () =>
    end(statusOfFailure(new Error('nothing is left to wait for'), diagnostics, stopper.signal)),
  );
  let status: number;
  try {
    status = await body({
      args: process.argv.slice(2),
      env: process.env,
      diagnostics,
      stop: stopper.signal,
      print: (data) => writeAll(1, data),
    });
  } catch (error) {
    status = statusOfFailure(error, diagnostics, stopper.signal);
  }
  return end(status);
}

/** Commands that speak no TLS start without the variable (bin/sai-device); what they start may need it. */
function giveBackCertificates(env: NodeJS.ProcessEnv): void {
  const { SAI_CA: path } = env;
  if (path === undefined) return;
  if (path !== '') env['NODE_EXTRA_CA_CERTS'] = path;
  delete env['SAI_CA'];
}

function statusOfFailure(error: unknown, diagnostics: Diagnostics, stop: AbortSignal): number {
  if (stop.aborted && error === stop.reason) return EXIT_BUG; // replaced by 128 + signal above
  const letGo = failedLettingGo(error);
  if (letGo) {
    const [first, second] = letGo.map((each) => statusOfFailure(each, diagnostics, stop));
    return second === EXIT_BUG ? EXIT_BUG : (first ?? EXIT_BUG);
  }
  if (error instanceof RigError) {
    diagnostics.fail(error.message);
    return EXIT_STATUS[error.blame];
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  diagnostics.fail(`this is a bug in sai-rig, please report it: ${text}`);
  return EXIT_BUG;
}

/** What a body failed with, and then what letting go of what it held did: both are told, the first is what it came to. */
function failedLettingGo(error: unknown): readonly [unknown, unknown] | undefined {
  // By its name: Node.js 20 has none, and bundles bring their own.
  if (!(error instanceof Error) || error.name !== 'SuppressedError') return undefined;
  return 'suppressed' in error && 'error' in error ? [error.suppressed, error.error] : undefined;
}

/** A pipe whose reader is slow answers EAGAIN on descriptors that a parent made non-blocking. */
function writeAll(fd: 1 | 2, data: string | Uint8Array): void {
  let rest = typeof data === 'string' ? Buffer.from(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (errnoCode(error) === 'EPIPE' || errnoCode(error) === 'EIO') return; // nobody listens any more
      if (errnoCode(error) !== 'EAGAIN') {
        if (fd === 2) return; // there is nowhere else to say so; the status stays what it is
        throw new RigError('unavailable', `stdout: cannot be written: ${reasonOf(error)}`, { cause: error });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
