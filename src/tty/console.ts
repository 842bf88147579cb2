import type { FlowControl, LineFormat } from '../native/termios.ts';

/** Modem lines that are ours to drive; `on` is asserted. Those not named stay as they are. */
export interface DrivenLines {
  readonly dtr?: 'on' | 'off';
  readonly rts?: 'on' | 'off';
}

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

  /** True while its tty is gone and may still come back: sends wait for that. Absent where it is not followed. */
  readonly isAway?: boolean;

  /**
   * Resolves once the kernel has taken all of `bytes`, not once the DUT has read them. Never blocks the process.
   * Aborting stops the wait; how much of `bytes` the DUT gets is then unknown.
   *
   * @throws {RigError} blame `hardware` when the tty goes away
   */
  send(bytes: Uint8Array, signal?: AbortSignal): Promise<void>;

  /**
   * Once all that was sent is out, holds the line in the break condition for so long. Aborting ends the break. A pty
   * takes it and does nothing.
   *
   * @throws {RigError} blame `hardware` when the tty goes away, or cannot
   */
  sendBreak(durationMs: number, signal?: AbortSignal): Promise<void>;

  /** Drives modem lines at once. @throws {RigError} blame `hardware` when the tty has none, as a pty, or goes away */
  drive(lines: DrivenLines): void;
}

/** What every driver needs to open a tty: raw, 8N1 without flow control where nothing else is said. */
export interface ConsoleOptions {
  /** Goes into every message. */
  readonly label: string;
  readonly baudRate: number;
  /** `keep` leaves to the lease whether DTR drops at the last close; `off` lets no close reset the board. */
  readonly hangUpOnClose: 'keep' | 'off';
  readonly format?: LineFormat;
  readonly flow?: FlowControl;
}

/** Opens a tty. @throws {RigError} blame `hardware` when it is missing, refused, not a tty, or cannot be set so */
export type OpenConsole = (path: string, options: ConsoleOptions) => Promise<Console>;
