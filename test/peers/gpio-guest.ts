/**
 * A virtual machine with Debian's own kernel, gpio-sim chips, USB serial adapters and 16550 ports; the host's files,
 * read only, are its own. What it needs is made by `scripts/setup.mjs --heavy`. One a test file: it takes seconds.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { TestContext } from 'vitest';
import { gpioGuest } from '../../scripts/gpio-guest.mjs';
import { hasProgram } from './needs.ts';
import { ROOT } from './running-lab.ts';

const QEMU = 'qemu-system-x86_64';
const AGENT_HOST = '10.0.2.2'; // what QEMU's user network calls the host
/** Where a daemon inside must listen to be reached from the host. */
export const GUEST_HTTP_PORT = 8080;
/** Up in seconds, on a host that is busy with others in ten times as many. Less than a hook has, for its message. */
const LONGEST_START_MS = 100_000;
/** Of what the machine says on its console, so much goes into the message when it fails. */
const CONSOLE_TAIL = 4000;

export interface Outcome {
  readonly status: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs in the guest. */
export interface GuestProcess {
  readonly outcome: Promise<Outcome>;
  /** Resolves with the first line of stdout or stderr that matches. @throws when it ends without one */
  line(pattern: RegExp): Promise<string>;
  /** Calls `listener` with each whole line of stdout, from the first on. */
  onLine(listener: (line: string) => void): void;
  kill(signal: NodeJS.Signals): void;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

export interface GpioGuestOptions {
  /** More of QEMU's arguments: serial adapters, what they are traced with. */
  readonly devices?: readonly string[];
  /** Another than that with gpio-sim chips. */
  readonly machine?: GuestMachine;
}

/** A machine whose first process runs gpio-guest-agent.mjs. */
export interface GuestMachine {
  /** Of QEMU. */
  readonly program: string;
  readonly args: (agentPort: number) => readonly string[];
  /** A folder inside, in which programs are started. */
  readonly cwd: string;
  readonly longestStartMs: number;
}

/** Why the guest cannot be started here; undefined when it can. */
export function whyNoGpioGuest(): string | undefined {
  if (!hasProgram(QEMU)) return `needs the program ${QEMU}`;
  return gpioGuest() ? undefined : 'needs the guest that scripts/setup.mjs --heavy makes';
}

/** Skips the test, with the reason, where the guest cannot be started. */
export function needsGpioGuest(context: TestContext): void {
  const why = whyNoGpioGuest();
  context.skip(why !== undefined, why);
}

export class GpioGuest implements AsyncDisposable {
  /** On the host's loopback; leads to {@link GUEST_HTTP_PORT} inside. */
  readonly httpPort: number;
  readonly #qemu: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #agent: Socket;
  readonly #cwd: string;
  readonly #qmp: Qmp;
  readonly #running = new Map<number, (message: Message) => void>();
  #lastId = 0;

  /** Resolves once programs can be run in it. @throws with the end of its console when it does not come up */
  static async start({ devices = [], machine = simMachine() }: GpioGuestOptions = {}): Promise<GpioGuest> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const qemu = spawn(machine.program, [...machine.args(port), ...QMP, ...devices], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true, // Ctrl-C is for the test, which ends it
    });
    let console = '';
    for (const stream of [qemu.stdout, qemu.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        console = (console + chunk.toString()).slice(-CONSOLE_TAIL);
      });
    }
    const ended = once(qemu, 'close');
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      qemu.kill('SIGKILL');
    }, machine.longestStartMs);
    try {
      const connected = once(server, 'connection') as Promise<[Socket]>;
      const first = await Promise.race([connected, ended.then(() => undefined)]);
      const how = isLate ? `was not up within ${machine.longestStartMs / 1000} s` : 'ended before it was up';
      if (!first) throw new Error(`the guest ${how}:\n${console}`);
      const qmp = new Qmp(qemu.stdio[3] as Socket);
      await qmp.execute('qmp_capabilities');
      const info = (await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' })) as string;
      const httpPort = Number(/HOST_FORWARD\S*\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(info)?.[1]);
      return new GpioGuest({ qemu, ended, agent: first[0], qmp, httpPort, cwd: machine.cwd });
    } catch (error) {
      qemu.kill('SIGKILL');
      await ended;
      throw error;
    } finally {
      clearTimeout(timer);
      server.close();
    }
  }

  private constructor(parts: {
    qemu: ChildProcess;
    ended: Promise<unknown>;
    agent: Socket;
    qmp: Qmp;
    httpPort: number;
    cwd: string;
  }) {
    this.#qemu = parts.qemu;
    this.#ended = parts.ended;
    this.#agent = parts.agent;
    this.#qmp = parts.qmp;
    this.httpPort = parts.httpPort;
    this.#cwd = parts.cwd;
    createInterface(this.#agent).on('line', (line) => {
      const message = JSON.parse(line) as Message;
      this.#running.get(message.id)?.(message);
    });
    this.#agent.on('error', () => {}); // the machine has ended
  }

  /** Starts a program of the host's files inside. */
  start(program: string, args: readonly string[] = [], { env, cwd, input }: RunOptions = {}): GuestProcess {
    this.#lastId += 1;
    const id = this.#lastId;
    const said = { stdout: '', stderr: '' };
    const listeners = new Set<() => void>();
    const outcome = new Promise<Outcome>((resolve, reject) => {
      void this.#ended.then(() => reject(new Error(`${program}: the guest has ended`)));
      this.#running.set(id, (message) => {
        said.stdout += decoded(message.stdout);
        said.stderr += decoded(message.stderr);
        for (const listener of listeners) listener();
        if (message.status === undefined) return;
        this.#running.delete(id);
        resolve({ status: message.signal ?? message.status ?? 0, ...said });
      });
    });
    outcome.catch(() => {}); // told to whoever waits for it
    this.#ask({ id, run: program, args, env, cwd: cwd ?? this.#cwd });
    if (input !== undefined) this.#ask({ id, input: Buffer.from(input).toString('base64') });
    const line = async (pattern: RegExp): Promise<string> => {
      const found = new Promise<string>((resolve) => {
        const look = (): void => {
          const lines = `${said.stdout}\n${said.stderr}`.split('\n');
          const match = lines.find((each) => pattern.test(each));
          if (match === undefined) return;
          listeners.delete(look);
          resolve(match);
        };
        listeners.add(look);
        look();
      });
      const over = outcome.then((end) => {
        throw new Error(`${program}: expected a line ${pattern}, got ${JSON.stringify(end)}`);
      });
      return await Promise.race([found, over]);
    };
    const onLine = (listener: (text: string) => void): void => {
      let told = 0;
      const look = (): void => {
        const whole = said.stdout.slice(told, said.stdout.lastIndexOf('\n') + 1);
        told += whole.length;
        for (const each of whole.split('\n').slice(0, -1)) listener(each);
      };
      listeners.add(look);
      look();
    };
    return { outcome, line, onLine, kill: (signal) => this.#ask({ id, signal }) };
  }

  /** Runs a program to its end. */
  async run(program: string, args: readonly string[] = [], options?: RunOptions): Promise<Outcome> {
    return await this.start(program, args, options).outcome;
  }

  /** What a shell line prints. @throws when it fails */
  async shell(line: string): Promise<string> {
    const { status, stdout, stderr } = await this.run('/bin/sh', ['-ec', line]);
    if (status !== 0) throw new Error(`${line}: ${status}: ${stderr}`);
    return stdout;
  }

  /** A gpio-sim chip with named lines, live. Its files are in the folder that comes back. */
  async addChip(label: string, lines: readonly string[]): Promise<SimChip> {
    const config = `/sys/kernel/config/gpio-sim/${label}`;
    const named = lines.map((name, n) => `mkdir bank/line${n}; echo ${name} > bank/line${n}/name;`);
    const printed = await this.shell(
      `mkdir ${config}; cd ${config}; mkdir bank; echo ${label} > bank/label;
       echo ${lines.length} > bank/num_lines; ${named.join(' ')} echo 1 > live; cat dev_name bank/chip_name`,
    );
    const [device = '', chip = ''] = printed.trim().split('\n');
    return { config, sysfs: `/sys/devices/platform/${device}/${chip}`, path: `/dev/${chip}` };
  }

  /** What QEMU is told: devices that come and go, a break on a wire. @throws with its reason when it refuses */
  async monitor(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    return await this.#qmp.execute(command, args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    this.#qemu.kill('SIGKILL');
    await this.#ended;
  }

  #ask(message: object): void {
    this.#agent.write(`${JSON.stringify(message)}\n`);
  }
}

export interface SimChip {
  /** In configfs: 0 in its `live` takes it away under whoever holds it. */
  readonly config: string;
  /** In sysfs: `sim_gpioN/value` is the level, `sim_gpioN/pull` what the board does. */
  readonly sysfs: string;
  /** Device node. */
  readonly path: string;
}

interface Message {
  readonly id: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly status?: number | null;
  readonly signal?: NodeJS.Signals | null;
}

function decoded(text: string | undefined): string {
  return Buffer.from(text ?? '', 'base64').toString();
}

const QMP = ['-chardev', 'socket,id=qmp,fd=3', '-mon', 'chardev=qmp,mode=control'];

function simMachine(): GuestMachine {
  const files = gpioGuest();
  if (!files) throw new Error('expected the guest to be made; run: node scripts/setup.mjs --heavy');
  return {
    program: QEMU,
    args: (agentPort) => simArguments(files, agentPort),
    cwd: ROOT,
    longestStartMs: LONGEST_START_MS,
  };
}

/** Emulated throughout: a /dev/kvm that is there need not be one that works. */
function simArguments(
  { kernel, initramfs }: { kernel: string; initramfs: string },
  agentPort: number,
): string[] {
  const spaced = (text: string): string => text.replaceAll(' ', '%20');
  const words = [
    ...['console=ttyS0', 'quiet', 'panic=-1', 'reboot=t'],
    ...[`sai.node=${spaced(process.execPath)}`, `sai.repo=${spaced(ROOT)}`],
    `sai.host=${AGENT_HOST}:${agentPort}`,
  ];
  const share = (path: string, tag: string): string =>
    `local,path=${path.replaceAll(',', ',,')},mount_tag=${tag},security_model=none,readonly=on,multidevs=remap`;
  return [
    ...[
      '-accel',
      'tcg',
      '-M',
      'pc',
      '-m',
      '768',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-no-reboot',
    ],
    ...['-kernel', kernel, '-initrd', initramfs, '-append', words.join(' ')],
    ...['-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04', '-device', 'virtio-rng-pci'],
    ...['-virtfs', share('/', 'host'), '-virtfs', share(ROOT, 'repo')],
    ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:0-:${GUEST_HTTP_PORT}`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
  ];
}

/** Orders to QEMU, one after the other. */
class Qmp {
  readonly #link: Socket;
  readonly #waiting: { resolve: (value: unknown) => void; reject: (reason: Error) => void }[] = [];

  constructor(link: Socket) {
    this.#link = link;
    link.on('error', () => {}); // the machine has ended
    link.on('close', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the guest has ended'));
    });
    createInterface(link).on('line', (line) => {
      const message = JSON.parse(line) as { return?: unknown; error?: { desc: string } };
      if (message.error) this.#waiting.shift()?.reject(new Error(message.error.desc));
      else if ('return' in message) this.#waiting.shift()?.resolve(message.return);
    });
  }

  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#link.destroyed) throw new Error('the guest has ended');
      this.#waiting.push({ resolve, reject });
      this.#link.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }
}
