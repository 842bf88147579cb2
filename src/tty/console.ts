/** A byte channel to one DUT, whatever driver is behind it. */
export interface Console extends AsyncDisposable {
  /** How people name it in messages: `tty0 (/dev/ttyUSB0)`. */
  readonly label: string;

  /**
   * Raw bytes as they arrive: undecoded, in any chunking, never empty. What had arrived before the console was
   * opened comes first. One reader only. Ends when the console is disposed.
   *
   * @throws {RigError} blame `hardware` when the tty goes away
   */
  readonly bytes: AsyncIterable<Uint8Array>;

  /**
   * How often the driver, or its chip, has lost bytes since this was opened because nobody took them: one or more each
   * time. Undefined where the driver does not count, as on a pty. After the release, what it was then.
   */
  readonly overruns: number | undefined;

  /**
   * Resolves once the kernel has taken all of `bytes`, not once the DUT has read them. Never blocks the process.
   * Aborting stops the wait; how much of `bytes` the DUT gets is then unknown.
   *
   * @throws {RigError} blame `hardware` when the tty goes away
   */
  send(bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
}

/** What every driver needs to open a tty: 8N1, raw, no flow control. */
export interface ConsoleOptions {
  /** Goes into every message. */
  readonly label: string;
  readonly baudRate: number;
  /** `keep` leaves to the lease whether DTR drops at the last close; `off` lets no close reset the board. */
  readonly hangUpOnClose: 'keep' | 'off';
}

/** Opens a tty. @throws {RigError} blame `hardware` when it is missing, refused or not a tty */
export type OpenConsole = (path: string, options: ConsoleOptions) => Promise<Console>;
