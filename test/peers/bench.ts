/** A bench for sai-device: boards that are ptys, a config, a run folder of its own, and the built command. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import {
  readChildPids,
  readProcess,
  readProcessEnvironment,
  readProcessTable,
} from '../../src/base/process-table.ts';
import { openPty, type PtyPair } from '../../src/native/pty.ts';
import { until } from '../until.ts';

export const SAI_DEVICE = fileURLToPath(new URL('../../bin/sai-device', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One running sai-device. */
export class Started {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #listeners = new Set<() => void>();
  #stdout = '';
  #stderr = '';

  /** `words`: the program, and what it is given. */
  constructor(words: readonly string[], env: NodeJS.ProcessEnv) {
    const [program = '', ...args] = words;
    this.#child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.pid = this.#child.pid ?? 0;
    this.#child.stdin.on('error', () => {}); // it ended first
    this.#child.stdout.on('data', (chunk: Buffer) => this.#heard(() => (this.#stdout += chunk.toString())));
    this.#child.stderr.on('data', (chunk: Buffer) => this.#heard(() => (this.#stderr += chunk.toString())));
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (status, signal) => {
        resolve({ status, signal, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  /** All of it up to now. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Resolves once what the command wrote to stdout matches. */
  async prints(pattern: RegExp): Promise<void> {
    await this.#matches(pattern, () => this.#stdout);
  }

  /** Resolves once what sai-device, or its command, wrote to stderr matches. */
  async says(pattern: RegExp): Promise<void> {
    await this.#matches(pattern, () => this.#stderr);
  }

  async #matches(pattern: RegExp, text: () => string): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      const listen = (): void => {
        if (!pattern.test(text())) return;
        this.#listeners.delete(listen);
        resolve();
      };
      this.#listeners.add(listen);
      listen();
    });
    const end = this.ended.then((ended) => {
      if (pattern.test(text())) return;
      throw new Error(`ended before it wrote ${String(pattern)}: ${JSON.stringify(ended)}`);
    });
    await Promise.race([heard, end]);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  hasPrinted(pattern: RegExp): boolean {
    return pattern.test(this.#stdout);
  }

  /** For a command that reads its input line by line. */
  type(text: string): void {
    this.#child.stdin.write(text);
  }

  /** End of input: what a command that reads to the end waits for. */
  closeInput(): void {
    this.#child.stdin.end();
  }

  #heard(append: () => void): void {
    append();
    for (const listen of this.#listeners) listen();
  }
}

export interface BenchDevice {
  readonly name?: string;
  readonly type?: string;
  readonly [key: string]: unknown;
}

export class Bench implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'bench-'));
  readonly runDir = join(this.folder, 'run');
  readonly config = join(this.folder, 'conf');
  readonly boards: readonly PtyPair[];
  readonly #unplugged = new Set<PtyPair>();
  readonly #started: Started[] = [];

  /** A device `uno1…n` of type `uno` for each set of extra keys, each on its own pty. */
  constructor(...devices: readonly BenchDevice[]) {
    this.boards = (devices.length > 0 ? devices : [{}]).map(() => openPty());
    const listed = this.boards.map((board, index) => {
      return { name: `uno${index + 1}`, type: 'uno', ttys: [board.ttyPath], ...devices[index] };
    });
    this.configure({ devices: listed });
  }

  get board(): PtyPair {
    const [board] = this.boards;
    if (!board) throw new Error('a bench has at least one board');
    return board;
  }

  configure(config: unknown): void {
    writeFileSync(this.config, typeof config === 'string' ? config : JSON.stringify(config));
  }

  /** Hangs the tty up and removes its node. */
  unplug(board: PtyPair = this.board): void {
    if (this.#unplugged.has(board)) return;
    this.#unplugged.add(board);
    closeSync(board.masterFd);
    closeSync(board.ttyFd);
  }

  /** Nothing of ours but what points to this bench. */
  get env(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], SAI_DEVICES_CONF: this.config, SAI_RUN_DIR: this.runDir };
  }

  /** `wrapper` is a command that becomes, or runs, the one it is given. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}, wrapper: readonly string[] = []): Started {
    return this.startWords([...wrapper, process.execPath, SAI_DEVICE, ...args], env);
  }

  /** Any command, with this bench in its environment. */
  startWords(words: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
    const started = new Started(words, { ...this.env, ...env });
    this.#started.push(started);
    return started;
  }

  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return await this.start(args, env).ended;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  /** Folders of leases, and tickets, that somebody left behind. */
  leftBehind(): string[] {
    return this.#leftBehind().map((path) => basename(path));
  }

  /** Makes it look as if that had been long ago: what is fresh might still be in the making. */
  ageLeftBehind(): void {
    for (const path of this.#leftBehind()) utimesSync(path, 1, 1);
  }

  #leftBehind(): string[] {
    return ['leases', 'queue']
      .map((name) => join(this.runDir, name))
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
      .filter((path) => basename(path) !== 'wake');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const started of this.#started) started.kill('SIGTERM');
    await Promise.all(this.#started.map((started) => started.ended));
    await until(() => guardsOf(this.runDir).length === 0, 'the last guard has ended');
    for (const board of this.boards) this.unplug(board);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Pids of the guards of a run folder, or of one holder. */
export function guardsOf(of: string | number): number[] {
  return readProcessTable()
    .filter((each) => each.state !== 'Z')
    .map((each) => ({ pid: each.pid, ppid: each.ppid, environment: readProcessEnvironment(each.pid) }))
    .filter(({ environment }) => environment.some((entry) => entry.startsWith('SAI_DEVICE_GUARD=')))
    .filter(({ pid, environment }) => {
      return typeof of === 'number'
        ? environment.includes(`SAI_DEVICE_GUARD=${of}`)
        : commandLineOf(pid).includes(of);
    })
    .map(({ pid }) => pid);
}

/** The living guard of one holder; undefined before it is started, while it is replaced, and at the end. */
export function guardOf(holderPid: number): number | undefined {
  return (readChildPids(holderPid) ?? []).find(
    (pid) =>
      readProcess(pid)?.state !== 'Z' &&
      readProcessEnvironment(pid).includes(`SAI_DEVICE_GUARD=${holderPid}`),
  );
}

/** With a NUL after each argument; empty once it has ended. */
export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}
