import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
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

/** Who has not ended by then after a SIGKILL is inside a driver that does not return. */
const LONGEST_DYING_MS = 1000;

/**
 * Runs a program, without a shell, in a group of its own: at its deadline and at an abort all of it is killed.
 *
 * @throws {PeerError} when it cannot be started, does not end in time, or cannot be killed
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
    streamOf(child, name)
      ?.setEncoding('utf8')
      .on('data', (text: string) => {
        said[name] = (said[name] + text).slice(-MAX_OUTPUT_CHARS);
      });
  }
  const killed = new Kill(child);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killed.begin();
  }, withinMs);
  const onAbort = (): void => killed.begin();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    // Its end, not that of its streams: a daemon that it leaves behind may keep those.
    const status = await new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, name) => onceRead(() => resolve(name ?? code ?? 0)));
      killed.onSurvived = (reason) =>
        reject(
          new PeerError(
            'peer-unavailable',
            `${program}: expected an end within ${formatDuration(withinMs)}, and it cannot be killed: ${reason}; it goes on`,
          ),
        );
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
    killed[Symbol.dispose]();
    signal.removeEventListener('abort', onAbort);
    for (const name of ['stdout', 'stderr'] as const) streamOf(child, name)?.destroy();
  }
}

/**
 * When what a program has written is read, whose end has just been told. That may have come in the same round of the event
 * loop as the end of another, which is before anybody looked at its streams: the next round does.
 */
function onceRead(then: () => void): void {
  setImmediate(() => setImmediate(then));
}

/** What a program said last, for a message. */
export function lastWords({ stdout, stderr }: ProgramOutcome): string {
  const line = (stderr.trim() || stdout.trim()).split('\n').at(-1) ?? '';
  return line === '' ? 'it said nothing' : JSON.stringify(line);
}

/** Where descriptors are used up there are none, whatever the types say; the failure follows as an event. */
function streamOf(child: ChildProcess, name: 'stdout' | 'stderr'): Readable | null | undefined {
  return child[name];
}

/** The end of a program and of all that it has started; nobody waits for one that does not end of it. */
class Kill implements Disposable {
  onSurvived: (reason: string) => void = () => {};
  readonly #child: ChildProcess;
  #timer: NodeJS.Timeout | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  begin(): void {
    const { pid } = this.#child;
    if (pid === undefined) return; // it could not be started
    try {
      process.kill(-pid, 'SIGKILL');
      this.#timer ??= setTimeout(() => this.onSurvived('it does not end of SIGKILL'), LONGEST_DYING_MS);
    } catch (error) {
      if (errnoCode(error) === 'ESRCH') return; // it has just ended
      this.onSurvived(errnoCode(error) === 'EPERM' ? 'it runs as another user' : reasonOf(error));
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
