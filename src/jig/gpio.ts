/**
 * GPIO chips as the jig sees them, in libgpiod's words. A back end (in memory, a virtual board's socket, the kernel)
 * implements {@link GpioChip} and speaks electrical levels only: `activeLow` is applied in `line.ts` and nowhere else.
 */

/** Electrical level. */
export type Level = 0 | 1;

/** What a holder does to an output: drives it, or holds it without driving it (for the kernel: as an input). */
export type Drive = Level | 'released';

export type DriveMode = 'push-pull' | 'open-drain' | 'open-source';

/** The chip's own resistor; `as-is` leaves it alone. */
export type Bias = 'as-is' | 'disabled' | 'pull-up' | 'pull-down';

export type LineSettings =
  | {
      readonly direction: 'output';
      readonly mode: DriveMode;
      readonly bias: Bias;
      /** From the moment of the request on: no other level is ever seen before it. */
      readonly initial: Drive;
    }
  | {
      readonly direction: 'input';
      readonly bias: Bias;
      /** Changes that do not last so long are none. Left out, every change is told. */
      readonly debounceMs?: number;
    };

/** A line as the chip lists it, whoever holds it. */
export interface ChipLine {
  /** Number inside the chip. */
  readonly offset: number;
  /** Empty for a line without a name. */
  readonly name: string;
  /** Who holds it now. */
  readonly consumer: string | undefined;
  /** True for one that nobody but the board can drive, where that is known. */
  readonly isBoards?: true;
}

export interface EdgeEvent {
  readonly offset: number;
  /** Level after the edge. */
  readonly level: Level;
  /** Milliseconds of CLOCK_MONOTONIC at which the chip saw it. */
  readonly monotonicMs: number;
}

/** When a pulse had begun and had ended: milliseconds of CLOCK_MONOTONIC. */
export interface PulseTimes {
  readonly beganMs: number;
  readonly endedMs: number;
}

/** One opened chip. Disposing releases every line that was requested through it. */
export interface GpioChip extends AsyncDisposable {
  /** How people name it in messages. */
  readonly name: string;

  /** Aborted, with a `RigError` as reason, when the chip goes away; every request on it is then over. */
  readonly gone: AbortSignal;

  lines(): Promise<readonly ChipLine[]>;

  /**
   * Takes lines, all or none, each at its initial level in one step.
   *
   * @throws {RigError} blame `busy` for a line that somebody holds, `config` for one that the chip has not or cannot
   * drive that way, the blame of `gone` once the chip has gone
   */
  request(consumer: string, lines: ReadonlyMap<number, LineSettings>): Promise<LineRequest>;
}

/**
 * Lines that are held together, until disposed or the process ends. Operations take effect in the order in which
 * they are called. Once released or gone every one of them throws.
 */
export interface LineRequest extends AsyncDisposable {
  /** All lines of one call change in one step where the chip can. Resolves once it has happened. */
  set(drives: ReadonlyMap<number, Drive>): Promise<void>;

  /**
   * Like two calls of {@link set} with `forMs` between them: never less, and by a clock that is finer than a timer. It
   * cannot be ended early, and whatever is asked of these lines meanwhile is done after it. Left out by chips that cannot.
   */
  pulse?(
    during: ReadonlyMap<number, Drive>,
    after: ReadonlyMap<number, Drive>,
    forMs: number,
  ): Promise<PulseTimes>;

  /** What the line carries now, whoever drives it. */
  get(offset: number): Promise<Level>;

  /** Calls `listener` at each change of a requested input. Returns what ends that. */
  onEdge(listener: (edge: EdgeEvent) => void): () => void;

  /** Tells, before it returns, of every change so far. Left out by chips that cannot, and by those that are never behind. */
  catchUp?(): void;

  /**
   * Calls `listener` with a count when so many changes of inputs were too many to be kept until somebody took them. What
   * the lines carry after them has been told as an edge. Returns what ends that. Left out by chips that lose nothing, or
   * do not know.
   */
  onLoss?(listener: (count: number) => void): () => void;
}

/** What open-drain and open-source come to, for chips that only know driving and letting go. */
export function plainDrive(mode: DriveMode, drive: Drive): Drive {
  if (mode === 'open-drain' && drive === 1) return 'released';
  if (mode === 'open-source' && drive === 0) return 'released';
  return drive;
}
