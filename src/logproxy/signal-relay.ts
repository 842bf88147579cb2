import type { ChildProcess } from 'node:child_process';
import { exitStatusOfSignal } from '../base/exit.ts';

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
const OTHER_SIGNALS: readonly NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2'];

/** How long who was told to stop still waits for a reader of its output. */
const PATIENCE_MS = 1000;

/** From its making on, signals to this process are the command's business. */
export class SignalRelay {
  readonly #hasTerminal: boolean;
  #child: ChildProcess | undefined;
  #stoppedBy: NodeJS.Signals | undefined;
  /** What a key of the terminal sent, which the command may take for something else than its end. */
  #key: NodeJS.Signals | undefined;
  #onHurry: (() => void) | undefined;

  /** On a terminal the command is in our process group: what its keys send has reached both. */
  constructor(stdin: 'a terminal' | 'something else') {
    this.#hasTerminal = stdin === 'a terminal';
    for (const signal of [...STOP_SIGNALS, ...OTHER_SIGNALS]) process.on(signal, () => this.#relay(signal));
  }

  /** The first signal that asked this process to stop, or that came from the terminal and ended the command. */
  get stoppedBy(): NodeJS.Signals | undefined {
    return this.#stoppedBy;
  }

  /** Also passes on what came before there was a command. */
  passOnTo(child: ChildProcess): void {
    this.#child = child;
    if (this.#stoppedBy) child.kill(this.#stoppedBy);
  }

  /** The command has ended: `onHurry` is called when this process was, or is now, told to stop. */
  commandEnded(status: number, onHurry: () => void): void {
    if (this.#key && status === exitStatusOfSignal(this.#key)) this.#stoppedBy ??= this.#key;
    this.#onHurry = onHurry;
    if (this.#stoppedBy) setTimeout(onHurry, PATIENCE_MS).unref();
  }

  #relay(signal: NodeJS.Signals): void {
    const isStop = STOP_SIGNALS.includes(signal);
    if (this.#onHurry) {
      if (!isStop) return;
      this.#stoppedBy ??= signal;
      this.#onHurry();
      return;
    }
    if (this.#hasTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT')) {
      this.#key = signal;
      return;
    }
    if (isStop) this.#stoppedBy ??= signal;
    this.#child?.kill(signal);
  }
}
