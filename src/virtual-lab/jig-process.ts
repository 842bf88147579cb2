import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { RigError, reasonOf } from '../base/errors.ts';
import { packageFile } from '../base/package-file.ts';

/** Making the lines safe takes far less. */
const END_GRACE_MS = 5000;

/** A `sai-jig` that serves the lines of a lab. It ends by itself when this process goes away, however that happens. */
export class JigProcess implements AsyncDisposable {
  /** Resolves with the reason if it ends by itself. */
  readonly broken: Promise<RigError>;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  /**
   * Resolves once it answers. What it has to say for itself is on stderr.
   *
   * @throws {RigError} blame `unavailable` when it does not start
   * @throws the reason of `stop`
   */
  static async start(config: string, env: NodeJS.ProcessEnv, stop: AbortSignal): Promise<JigProcess> {
    const jig = new JigProcess(config, env);
    try {
      const broken = jig.broken.then((error) => Promise.reject(error));
      const output = jig.#child.stdout;
      if (output) await Promise.race([once(createInterface(output), 'line', { signal: stop }), broken]);
      return jig;
    } catch (error) {
      await jig[Symbol.asyncDispose]();
      stop.throwIfAborted();
      throw error;
    }
  }

  private constructor(config: string, env: NodeJS.ProcessEnv) {
    const args = ['--quiet', '--json', '--with-parent', '--config', config];
    this.#child = spawn(process.execPath, [packageFile('bin/sai-jig'), ...args], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
      // Ctrl-C is for the lab, which then ends its jig before its boards.
      detached: true,
    });
    const ended = new Promise<string>((resolve) => {
      this.#child.once('exit', (status, signal) => resolve(signal ?? `status ${status}`));
      this.#child.once('error', (error) => resolve(reasonOf(error)));
    });
    this.#exited = ended;
    this.broken = ended.then(
      (how) => new RigError('unavailable', `${config}: expected its sai-jig to run, it ended with ${how}`),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.destroy();
    const force = setTimeout(() => this.#child.kill('SIGKILL'), END_GRACE_MS);
    await this.#exited;
    clearTimeout(force);
  }
}

/** A moment later another program may have it; then the jig says so. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a server on no port');
  return address.port;
}
