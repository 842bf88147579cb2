import type { ChildProcess } from 'node:child_process';

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
const OTHER_SIGNALS: readonly NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2'];

/** From its making on, signals to this process are the command's business. */
export class SignalRelay {
  readonly #terminal: 'has sent these to the command too' | 'none';
  #child: ChildProcess | undefined;
  #stoppedBy: NodeJS.Signals | undefined;

  /** On a terminal the command is in our process group: what its keys send has reached both. */
  constructor(stdin: 'a terminal' | 'something else') {
    this.#terminal = stdin === 'a terminal' ? 'has sent these to the command too' : 'none';
    for (const signal of [...STOP_SIGNALS, ...OTHER_SIGNALS]) process.on(signal, () => this.#relay(signal));
  }

  /** The signal by which this process was told to stop, and told the command. */
  get stoppedBy(): NodeJS.Signals | undefined {
    return this.#stoppedBy;
  }

  /** Also passes on what came before there was a command. */
  passOnTo(child: ChildProcess): void {
    this.#child = child;
    if (this.#stoppedBy) child.kill(this.#stoppedBy);
  }

  #relay(signal: NodeJS.Signals): void {
    if (this.#terminal !== 'none' && (signal === 'SIGINT' || signal === 'SIGQUIT')) return;
    if (STOP_SIGNALS.includes(signal)) this.#stoppedBy ??= signal;
    this.#child?.kill(signal);
  }
}
