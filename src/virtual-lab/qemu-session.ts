import type { RigError } from '../base/errors.ts';
import type { Level } from '../wire/sim-chip.ts';
import { QemuProcess, type QemuSetup } from './qemu-process.ts';
import type { QmpEvent } from './qmp-client.ts';

export interface QemuSessionOptions {
  readonly setup: QemuSetup;
  /** Ends a start that is under way. */
  readonly until: AbortSignal;
  /** The level that an input of the chip has outside, whenever the chip asks anew. */
  readonly levelOf: (line: string) => Level;
  readonly said: (ttyIndex: number, bytes: Buffer) => void;
  readonly ready: (ttyIndex: number) => void;
  readonly driven: (line: string, level: Level) => void;
  /** The chip was reset, and has let go of its outputs. */
  readonly wasReset: () => void;
}

/** A machine from power-on to power-off. Its methods are called one after the other. */
export class QemuSession implements AsyncDisposable {
  readonly #qemu: QemuProcess;
  readonly #inputs: readonly string[];
  readonly #levelOf: (line: string) => Level;
  readonly #wasReset: () => void;
  #isRunning = false;
  /** The guest turned itself off: only a reset makes it run again. */
  #isShutDown = false;
  #resetSeen: () => void = () => {};

  /** With power, and standing still. @throws {RigError} blame `unavailable` when QEMU does not start; the reason of `until` */
  static async start(options: QemuSessionOptions): Promise<QemuSession> {
    const { setup, until, said, ready, driven } = options;
    let session: QemuSession | undefined;
    const event = (which: QmpEvent): void => {
      if (session) session.#take(which);
    };
    session = new QemuSession(await QemuProcess.start(setup, { said, ready, driven, event }, until), options);
    await session.#setInputs();
    return session;
  }

  private constructor(qemu: QemuProcess, { setup, levelOf, wasReset }: QemuSessionOptions) {
    this.#qemu = qemu;
    this.#inputs = Object.keys(setup.gpio?.inputs ?? {});
    this.#levelOf = levelOf;
    this.#wasReset = wasReset;
  }

  /** @see QemuProcess.ended */
  get ended(): Promise<string> {
    return this.#qemu.ended;
  }

  /** @see QemuProcess.type */
  type(ttyIndex: number, bytes: Buffer): boolean {
    // A machine that is off hears nothing, and is not to find it at its next start.
    return this.#isShutDown ? true : this.#qemu.type(ttyIndex, bytes);
  }

  /** Lets the machine run, or stand still between two instructions. @throws {RigError} blame `unavailable` */
  async setRunning(wanted: 'running' | 'stopped'): Promise<void> {
    if (this.#isShutDown || this.#isRunning === (wanted === 'running')) return;
    this.#isRunning = wanted === 'running';
    await this.#qemu.qmp.execute(this.#isRunning ? 'cont' : 'stop');
  }

  /** Takes the machine, which is to stand still, to its reset vector. @throws {RigError} blame `unavailable` */
  async reset(): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#resetSeen = resolve;
    });
    await this.#qemu.qmp.execute('system_reset');
    await Promise.race([seen, this.#qemu.ended]);
    await this.#setInputs();
  }

  /** @throws {RigError} blame `unavailable` */
  async setInput(line: string, level: Level): Promise<void> {
    await this.#qemu.pins?.setInput(line, level);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#qemu[Symbol.asyncDispose]();
  }

  #take(event: QmpEvent): void {
    if (event === 'SHUTDOWN') {
      this.#isShutDown = true;
      this.#isRunning = false;
      return;
    }
    this.#isShutDown = false;
    this.#wasReset();
    this.#resetSeen();
    // A reset by the firmware; it lets go of the pins, too.
    if (this.#isRunning) void this.#setInputs().catch((_gone: RigError) => {}); // `ended` tells
  }

  async #setInputs(): Promise<void> {
    for (const line of this.#inputs) await this.setInput(line, this.#levelOf(line));
  }
}
