import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { ROOT } from './running-lab.ts';

/** The built daemon, ready to be asked. */
export class RunningJig {
  readonly child: ChildProcess;
  readonly port: number;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** How it ended: status, or the signal's name. */
  readonly ended: Promise<number | NodeJS.Signals>;
  stderr = '';

  /** Up until the test is finished, or killed. `config` is written to `folder`. */
  static async start(folder: string, config: object, ...args: string[]): Promise<RunningJig> {
    const file = join(folder, 'jig.json');
    writeFileSync(file, JSON.stringify({ schema: 'sai-jig', port: 0, iface: '127.0.0.1', ...config }));
    return await RunningJig.startWith('--config', file, ...args);
  }

  static async startWith(...args: string[]): Promise<RunningJig> {
    const child = spawn(join(ROOT, 'bin/sai-jig'), ['--json', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'close').then(
      ([status, signal]) => (signal ?? status) as number | NodeJS.Signals,
    );
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const ready = once(createInterface(child.stdout), 'line') as Promise<[string]>;
    const first = await Promise.race([ready, ended]);
    if (!Array.isArray(first)) throw new Error(`sai-jig ended with ${first}: ${stderr}`);
    const { port } = JSON.parse(first[0]) as { port: number };
    const jig = new RunningJig(child, port, ended);
    jig.stderr = stderr;
    child.stderr.on('data', (chunk: Buffer) => {
      jig.stderr += chunk.toString();
    });
    return jig;
  }

  private constructor(child: ChildProcess, port: number, ended: Promise<number | NodeJS.Signals>) {
    this.child = child;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.ended = ended;
  }

  async stop(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return await this.ended;
  }

  /** @see askJig */
  async ask(path: string, options?: AskOptions): Promise<Answer> {
    return await askJig(this.port, path, options);
  }
}

/** One request on a connection of its own, and all that comes back until the jig hangs up. */
export function askJig(
  port: number,
  path: string,
  { method = 'GET', headers = {}, hangUp }: AskOptions = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const all = { host: 'jig', connection: 'close', ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', () => {}); // `close` follows
    socket.once('close', () => resolve(answerOf(text)));
    void hangUp?.then(() => socket.destroy());
  });
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The client goes away when this resolves. */
  readonly hangUp?: Promise<unknown>;
}

export interface Answer {
  /** How many answers came; none when the client went away first. */
  readonly count: number;
  readonly status: number;
  readonly body: Record<string, unknown>;
}

function answerOf(text: string): Answer {
  const count = text.split('HTTP/1.1 ').length - 1;
  const body = text.split('\r\n\r\n')[1] ?? '';
  return {
    count,
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0),
    body: body === '' ? {} : (JSON.parse(body) as Record<string, unknown>),
  };
}
