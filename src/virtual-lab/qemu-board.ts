import { setTimeout as delay } from 'node:timers/promises';
import { RigError, reasonOf } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import type { Level } from '../wire/sim-chip.ts';
import type { Board, BoardPlace } from './board.ts';
import { Cables } from './cables.ts';
import { Parking } from './parking.ts';
import { PulledLines } from './pulled-lines.ts';
import type { QemuSetup } from './qemu-process.ts';
import { QemuSession } from './qemu-session.ts';

/** As short as a finger manages. */
const RESET_PULSE_MS = 20;

/** A machine that QEMU emulates, and what a board needs to know about it. */
export interface QemuMachine extends QemuSetup {
  /** `parks`: it burns a core while it waits for input, so it stands still while nobody uses its ttys. */
  readonly unused: 'runs' | 'parks';
}

export interface QemuBoardOptions extends BoardPlace {
  readonly machine: QemuMachine;
  /** How long a board that parks runs on unused; see {@link Parking}. */
  readonly quietMs?: number;
}

/**
 * A board in a QEMU of its own, plugged in and with power; its firmware runs when this resolves. Its ttys hang on its
 * own supply: they go away with the power, and come back with it.
 *
 * @throws {RigError} blame `config` when a tty's link cannot be made, `unavailable` when QEMU does not start
 * @throws the reason of `stop`
 */
export async function startQemuBoard(options: QemuBoardOptions): Promise<Board> {
  const board = new QemuBoard(options);
  try {
    await board.setPower('on');
    return board;
  } catch (error) {
    await board[Symbol.asyncDispose]();
    throw error;
  }
}

class QemuBoard implements Board {
  readonly name: string;
  readonly ttys: readonly string[];
  readonly lines: PulledLines<string, string>;
  readonly broken: Promise<RigError>;
  readonly #machine: QemuMachine;
  readonly #stop: AbortSignal | undefined;
  readonly #cables: Cables;
  readonly #parking: Parking | undefined;
  /** Undefined without power. */
  #session: QemuSession | undefined;
  /** What the machine has seen; the line itself may have moved on. */
  #resetSeen: Level = 1;
  #cable: 'plugged' | 'unplugged' = 'plugged';
  #isDisposed = false;
  #break: (reason: RigError) => void = () => {};
  #brokenBy: RigError | undefined;
  /** Whatever is done to the machine is done one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ name, dir, machine, passages, quietMs, stop }: QemuBoardOptions) {
    this.name = name;
    this.#machine = machine;
    this.#stop = stop;
    this.#cables = new Cables({
      name,
      dir,
      count: machine.ttyCount,
      toBoard: (index, bytes) => this.#typed(index, bytes),
      users: machine.unused === 'parks' ? 'watched' : 'ignored',
      ...(passages && { passages }),
    });
    this.ttys = this.#cables.paths;
    this.lines = linesOf(machine, (line, level) => this.#soon(() => this.#apply(line, level)));
    this.broken = new Promise((resolve) => {
      this.#break = resolve;
    });
    if (machine.unused === 'parks') {
      this.#parking = new Parking({
        isInUse: () => this.#cables.isInUse(),
        wasOpened: () => this.#cables.wasOpened(),
        changed: () => this.#soon(() => this.#runOrStop()),
        ...(quietMs === undefined ? {} : { quietMs }),
      });
    }
  }

  get lostBytes(): number {
    return this.#cables.lostBytes;
  }

  async setPower(state: 'on' | 'off'): Promise<void> {
    await this.#inOrder(() => (state === 'on' ? this.#powerOn() : this.#powerOff()));
  }

  async reset(): Promise<void> {
    this.lines.setResetButton('pressed');
    await delay(RESET_PULSE_MS);
    this.lines.setResetButton('released');
  }

  async unplug(): Promise<void> {
    this.#cable = 'unplugged';
    this.#cables.unplug();
  }

  async plug(): Promise<void> {
    this.#cable = 'plugged';
    if (this.#session) this.#cables.plug();
    this.#parking?.touch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#parking?.[Symbol.dispose]();
    this.#cables[Symbol.dispose]();
    await this.#session?.[Symbol.asyncDispose](); // whatever is being done to it ends with it
    await this.#last;
    await this.#session?.[Symbol.asyncDispose](); // of a power-on that was under way
  }

  async #powerOn(): Promise<void> {
    if (this.#session) return;
    using until = new LinkedSignal(this.#stop ? [this.#stop] : []);
    const session = await QemuSession.start({
      until: until.signal,
      setup: this.#machine,
      levelOf: (line) => this.lines.levelOf(line),
      said: (index, bytes) => this.#cables.send(index, bytes),
      ready: (index) => this.#cables.setInput(index, 'flowing'),
      driven: (line, level) => this.#driven(line, level),
      wasReset: () => this.#letOutputsGo(),
    });
    this.#session = session;
    void session.ended.then((how) => {
      if (this.#session !== session || this.#isDisposed) return;
      this.#fail(new RigError('unavailable', `${this.name}: its emulator ended with ${how}`));
    });
    // Before it runs, so that nothing it says is lost.
    if (this.#cable === 'plugged' && !this.#isDisposed) this.#cables.plug();
    this.#parking?.touch();
    await this.#runOrStop();
  }

  async #powerOff(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#cables.unplug();
    for (const index of this.ttys.keys()) this.#cables.setInput(index, 'flowing'); // what waited went with the chip
    await session?.[Symbol.asyncDispose]();
    this.#letOutputsGo();
  }

  #letOutputsGo(): void {
    for (const line of Object.keys(this.#machine.gpio?.outputs ?? {})) this.#driven(line, 0);
  }

  async #apply(line: string, level: Level): Promise<void> {
    if (line === 'reset') await this.#applyReset(level);
    else await this.#session?.setInput(line, level);
    this.lines.seen({ line, level, monotonicMs: monotonicMs() });
  }

  /** The machine stands still while the line is low, and starts anew when it rises. */
  async #applyReset(level: Level): Promise<void> {
    this.#resetSeen = level;
    this.#parking?.touch();
    if (level === 1) await this.#session?.reset();
    await this.#runOrStop();
  }

  async #runOrStop(): Promise<void> {
    const isMeantToRun = this.#resetSeen === 1 && this.#parking?.state !== 'parked';
    await this.#session?.setRunning(isMeantToRun ? 'running' : 'stopped');
  }

  #typed(index: number, bytes: Buffer): void {
    this.#parking?.touch();
    // A chip that is held in reset hears nothing: the bytes go over the wire all the same.
    if (this.lines.levelOf('reset') === 0) return;
    if (this.#session?.type(index, bytes) === false) this.#cables.setInput(index, 'paused');
  }

  #driven(line: string, level: Level): void {
    if (this.lines.levelOf(line) !== level) this.lines.seen({ line, level, monotonicMs: monotonicMs() });
  }

  /** For what nobody waits for: a board that does not do it is broken. */
  #soon(work: () => Promise<void>): void {
    this.#inOrder(work).catch((error: unknown) => {
      if (this.#isDisposed) return;
      this.#fail(
        error instanceof RigError ? error : new RigError('unavailable', reasonOf(error), { cause: error }),
      );
    });
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(() => {
      if (this.#brokenBy) throw this.#brokenBy;
      return work();
    });
    this.#last = done.catch(() => {}); // told to whoever asked for it
    return done;
  }

  #fail(reason: RigError): void {
    this.#brokenBy ??= reason;
    this.#break(reason);
  }
}

function linesOf(
  { gpio }: QemuMachine,
  apply: (line: string, level: Level) => void,
): PulledLines<string, string> {
  const idle = Object.entries(gpio?.inputs ?? {}).map(([line, pin]) => [line, pin.idle] as const);
  return new PulledLines({ reset: 1, ...Object.fromEntries(idle) }, Object.keys(gpio?.outputs ?? {}), apply);
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
