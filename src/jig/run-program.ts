import { type ChildProcess, spawn } from 'node:child_process';
import { formatDuration } from '../base/duration.ts';
import { errnoCode, reasonOf } from '../base/errors.ts';
import { PeerError } from './peer-error.ts';

export interface ProgramOutcome {
  readonly status: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** Of what a program says, so much of each stream is kept. */
const MAX_OUTPUT_CHARS = 64 * 1024;

/**
 * Runs a program, without a shell, in a group of its own: at its deadline and at an abort all of it is killed.
 *
 * @throws {PeerError} when it cannot be started, or does not end in time
 * @throws the reason of `signal`
 */
export async function runProgram(
  argv: readonly string[],
  withinMs: number,
  signal: AbortSignal,
): Promise<ProgramOutcome> {
  signal.throwIfAborted();
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] = (said[name] + text).slice(-MAX_OUTPUT_CHARS);
    });
  }
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(child);
  }, withinMs);
  const onAbort = (): void => killGroup(child);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    // Its end, not that of its streams: a daemon that it leaves behind may keep those.
    const status = await new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, name) => setImmediate(() => resolve(name ?? code ?? 0)));
    });
    signal.throwIfAborted();
    if (isLate) {
      throw new PeerError(
        'peer-unavailable',
        `${program}: expected an end within ${formatDuration(withinMs)}, it was killed; does it wait for something?`,
      );
    }
    return { status, ...said };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PeerError) throw error;
    const found = errnoCode(error) === 'ENOENT' ? 'there is no such program; install it' : reasonOf(error);
    throw new PeerError('peer-unavailable', `${program}: cannot be started: ${found}`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** What a program said last, for a message. */
export function lastWords({ stdout, stderr }: ProgramOutcome): string {
  const line = (stderr.trim() || stdout.trim()).split('\n').at(-1) ?? '';
  return line === '' ? 'it said nothing' : JSON.stringify(line);
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return; // it could not be started
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (errnoCode(error) !== 'ESRCH') throw error; // else it has just ended
  }
}
