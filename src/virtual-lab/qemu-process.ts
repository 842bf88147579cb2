import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { formatDuration } from '../base/duration.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import { oneLine } from '../base/one-line.ts';
import type { Level } from '../wire/sim-chip.ts';
import { QmpClient, type QmpEvent } from './qmp-client.ts';
import { type QemuGpio, QtestClient } from './qtest-client.ts';

/** Of what QEMU says on stderr, so much goes into the message when it ends. */
const MAX_COMPLAINT_BYTES = 4096;

/**
 * Run by setpriv, which has the kernel kill it when the lab ends, however that ends. A lab that ended before that was
 * arranged never says go: then nothing starts. QEMU itself outlives all of its sockets.
 */
const START = [
  '--pdeathsig',
  'KILL',
  'sh',
  '-c',
  'echo armed && read -r _ && exec "$@" </dev/null >&2',
  'sh',
];

/** Descriptors of QEMU: orders, then the ttys, then the pins. */
const QMP_FD = 3;
const FIRST_TTY_FD = 4;

export interface QemuSetup {
  readonly program: string;
  /** The machine. Its ttys are the character devices `tty0`, `tty1`, … */
  readonly args: readonly string[];
  readonly ttyCount: number;
  readonly gpio?: QemuGpio;
}

export interface QemuListener {
  /** Bytes that the firmware sent. */
  readonly said: (ttyIndex: number, bytes: Buffer) => void;
  /** A tty has room again after {@link QemuProcess.type} answered false. */
  readonly ready: (ttyIndex: number) => void;
  readonly driven: (line: string, level: Level) => void;
  readonly event: (event: QmpEvent) => void;
}

/** One QEMU, reached over sockets that have no name. It ends with this process, also when that is killed. */
export class QemuProcess implements AsyncDisposable {
  readonly qmp: QmpClient;
  readonly pins: QtestClient | undefined;
  /** Resolves, in words, with how the process ended, or why it is of no use any more. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #ttys: readonly Socket[];

  /**
   * Resolves once it takes orders; it stands still.
   *
   * @throws {RigError} blame `unavailable` when it does not start, or does not take orders in time
   * @throws the reason of `until`
   */
  static async start(setup: QemuSetup, listener: QemuListener, until: AbortSignal): Promise<QemuProcess> {
    until.throwIfAborted();
    const qemu = new QemuProcess(setup, listener);
    try {
      const ended = qemu.ended.then((how) => {
        throw new RigError('unavailable', `it ended with ${how}`);
      });
      await inTime(Promise.race([qemu.#takesOrders(), ended]), until);
      return qemu;
    } catch (error) {
      await qemu[Symbol.asyncDispose]();
      until.throwIfAborted();
      const how = await qemu.ended;
      const why = how === 'SIGKILL' ? reasonOf(error) : `it ended with ${how}`; // if not by itself, then by us
      throw new RigError('unavailable', `${setup.program}: expected it to start: ${why}`, { cause: error });
    }
  }

  private constructor({ program, args, ttyCount, gpio }: QemuSetup, listener: QemuListener) {
    const ttyFds = Array.from({ length: ttyCount }, (_, index) => FIRST_TTY_FD + index);
    const pinsFd = FIRST_TTY_FD + ttyCount;
    const all = [program, ...qemuArguments(ttyFds, gpio && pinsFd), ...args];
    this.#child = spawn('setpriv', [...START, ...all], {
      stdio: [
        'pipe',
        'pipe',
        'pipe',
        ...Array.from({ length: ttyCount + 1 + (gpio ? 1 : 0) }, () => 'pipe' as const),
      ],
      // Ctrl-C is for the lab, which then ends its boards in order.
      detached: true,
    });
    let fail = (_how: string): void => {};
    const failed = new Promise<string>((resolve) => {
      fail = resolve;
    });
    const exited = endOf(this.#child);
    this.ended = Promise.race([failed, exited]);
    this.#exited = exited.then(() => {});
    const sockets = this.#child.stdio.slice(QMP_FD) as Socket[];
    // The process has gone: `ended` tells of it.
    for (const stream of this.#child.stdio) stream?.on('error', () => {});
    this.#child.stdout?.once('data', () => this.#child.stdin?.end('go\n'));
    this.qmp = new QmpClient(sockets[0] as Socket, { event: listener.event, failed: fail });
    this.#ttys = sockets.slice(1, 1 + ttyCount);
    for (const [index, tty] of this.#ttys.entries()) {
      tty.on('data', (bytes) => listener.said(index, bytes));
      tty.on('drain', () => listener.ready(index));
    }
    this.pins =
      gpio &&
      new QtestClient(sockets[1 + ttyCount] as Socket, gpio, { driven: listener.driven, failed: fail });
  }

  /** Gives bytes to the firmware; false when it has enough for now, until `ready`. */
  type(ttyIndex: number, bytes: Buffer): boolean {
    const tty = this.#ttys[ttyIndex];
    return tty?.writable === true ? tty.write(bytes) : true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
    for (const stream of this.#child.stdio) stream?.destroy();
  }

  async #takesOrders(): Promise<void> {
    await this.qmp.execute('qmp_capabilities');
    await this.pins?.watchOutputs();
  }
}

/** What a QEMU needs for it is a fraction of a second. */
const START_LIMIT_MS = 30_000;

/** @throws the reason of `until`; {@link RigError} when it takes too long */
async function inTime<T>(work: Promise<T>, until: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  using stop = new LinkedSignal([until]);
  const ended = new Promise<never>((_resolve, reject) => {
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason as Error), { once: true });
    const late = `it did not take an order within ${formatDuration(START_LIMIT_MS)}`;
    timer = setTimeout(() => reject(new RigError('unavailable', late)), START_LIMIT_MS);
  });
  try {
    return await Promise.race([work, ended]);
  } finally {
    clearTimeout(timer);
  }
}

/** Source: qemu(1). `-S`: it stands still until told; `-no-shutdown`: a guest that turns itself off can be reset. */
function qemuArguments(ttyFds: readonly number[], pinsFd: number | undefined): string[] {
  const socket = (id: string, fd: number): string[] => ['-chardev', `socket,id=${id},fd=${fd}`];
  return [
    ...['-nodefaults', '-display', 'none', '-S', '-no-shutdown'],
    ...[...socket('qmp', QMP_FD), '-mon', 'chardev=qmp,mode=control'],
    ...ttyFds.flatMap((fd, index) => socket(`tty${index}`, fd)),
    ...(pinsFd === undefined
      ? []
      : [...socket('pins', pinsFd), '-object', 'qtest,id=qtest0,chardev=pins,log=none']),
  ];
}

/** How it ended, with its last words. */
function endOf(child: ChildProcess): Promise<string> {
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-MAX_COMPLAINT_BYTES);
  });
  return new Promise((resolve) => {
    child.once('close', (status, signal) => {
      const words = oneLine(complaint.trim());
      resolve(`${signal ?? `status ${status}`}${words === '' ? '' : `: ${words}`}`);
    });
    child.once('error', (error) => resolve(reasonOf(error)));
  });
}
