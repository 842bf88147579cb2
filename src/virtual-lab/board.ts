import type { RigError } from '../base/errors.ts';
import type { Level } from '../wire/sim-chip.ts';
import type { Passages } from './pty-proxy.ts';

/** A board that exists in software only: real firmware on an emulated chip, reached as a real board is. */
export interface Board extends AsyncDisposable {
  readonly name: string;
  /** Stable paths, by tty index, of the ttys on which the firmware talks. They exist while the board is plugged in. */
  readonly ttys: readonly string[];
  /** Bytes of the firmware that nobody can read any more: unread when unplugged, said after it, or too many to keep. */
  readonly lostBytes: number;
  /** Lines that a jig may drive or watch. */
  readonly lines: BoardLines;

  /** Resolves with the reason if the board breaks by itself; otherwise it stays pending. */
  readonly broken: Promise<RigError>;

  /**
   * Resolves once the chip runs from its reset vector, or has stopped. Without power the ttys stay and are silent, or
   * go away as by {@link Board.unplug}, as it is with the board's kind.
   */
  setPower(state: 'on' | 'off'): Promise<void>;

  /** A pulse on the reset line, as a finger on the button gives it. */
  reset(): Promise<void>;

  /** Takes the cable out: users of the ttys see a hang-up, the paths vanish; the board keeps running. */
  unplug(): Promise<void>;

  /** Puts it back: same paths, new ttys behind them, the same session of the firmware. */
  plug(): Promise<void>;
}

/** Electrical levels, 0 or 1, of the lines between a board and the world. */
export interface BoardLines {
  readonly names: readonly string[];
  /** `input` lines are driven from outside, `output` lines by the firmware. */
  directionOf(line: string): 'input' | 'output';
  levelOf(line: string): Level;
  /** Drives an input line; `released` leaves it to the board's own pull resistor. */
  drive(line: string, level: Level | 'released'): void;
  /** Called at each change of any line, at the moment the board saw it. Returns what ends it. */
  onEdge(listener: (edge: LineEdge) => void): () => void;
}

/** One change of one line; `monotonicMs` is CLOCK_MONOTONIC. */
export interface LineEdge {
  readonly line: string;
  readonly level: Level;
  readonly monotonicMs: number;
}

/** Where a board is started. */
export interface BoardPlace {
  readonly name: string;
  /** Folder of the stable tty links, `<name>.tty0`, … */
  readonly dir: string;
  /** Where programs are looked for, and the user's cache. */
  readonly env: NodeJS.ProcessEnv;
  /** What becomes of bytes on their way. */
  readonly passages?: Passages;
  /** Ends a start that is under way. */
  readonly stop?: AbortSignal;
}

/** A running board as people and programs find it. */
export interface LabBoard {
  readonly board: string;
  readonly type: string;
  readonly ttys: readonly string[];
  /** Socket of its lines. */
  readonly chip: string;
  /** The devices config that lists it. */
  readonly devices: string;
  /** The jig config that drives its lines. */
  readonly jig: string;
}
