/** A board that nobody has used for so long stands still. Long enough for a person between two commands. */
const QUIET_MS = 5000;

/** How soon somebody who opens the tty of a parked board finds it running. */
const LOOK_MS = 50;

export interface ParkingOptions {
  /** Whether somebody uses the board now; asked seldom. */
  readonly isInUse: () => boolean;
  /** Whether somebody began to since the last question; asked often, while parked. */
  readonly wasOpened: () => boolean;
  /** Called at each change. */
  readonly changed: (state: 'running' | 'parked') => void;
  readonly quietMs?: number;
}

/** Says when a board that burns a core while it waits for input may stand still, which nobody can tell from outside. */
export class Parking implements Disposable {
  readonly #options: ParkingOptions;
  #state: 'running' | 'parked' = 'running';
  #wasTouched = true;
  #timer: NodeJS.Timeout;

  constructor(options: ParkingOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#parkIfUnused(), this.#quietMs);
  }

  get state(): 'running' | 'parked' {
    return this.#state;
  }

  /** Something was done to the board: it runs, now and for a while. */
  touch(): void {
    this.#wasTouched = true;
    if (this.#state === 'parked') this.#enter('running');
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #parkIfUnused(): void {
    const wasUsed = this.#wasTouched || this.#options.wasOpened();
    this.#wasTouched = false;
    if (!wasUsed && !this.#options.isInUse()) this.#enter('parked');
  }

  #enter(state: 'running' | 'parked'): void {
    clearInterval(this.#timer);
    this.#state = state;
    this.#timer =
      state === 'running'
        ? setInterval(() => this.#parkIfUnused(), this.#quietMs)
        : setInterval(() => this.#wakeIfOpened(), LOOK_MS);
    this.#options.changed(state);
  }

  #wakeIfOpened(): void {
    if (this.#options.wasOpened()) this.touch();
  }

  get #quietMs(): number {
    return this.#options.quietMs ?? QUIET_MS;
  }
}
