import type { Level } from './gpio.ts';
import type { Libgpiod, LibgpiodBulk, LibgpiodChip, LibgpiodLine } from './libgpiod-binding.ts';

/** Source: gpiod.h 1.6, GPIOD_LINE_REQUEST_DIRECTION_AS_IS. */
const AS_IS = 1;

/**
 * A line that is collected after its chip crashes the process, and which of two goes first in a collection nobody knows:
 * so each chip is kept until every object made of it has been collected.
 */
const kept = new FinalizationRegistry<LibgpiodChip>(() => {});

interface Known {
  readonly line: LibgpiodLine;
  readonly bulk: LibgpiodBulk;
}

/**
 * Lines of one chip of node-libgpiod, by offsets that the chip has: it crashes later over others. Each is made once and
 * kept as long as this is: one that is collected lets go of its line, whoever has requested it since.
 */
export class LibgpiodLines {
  readonly #library: Libgpiod;
  readonly #chip: LibgpiodChip;
  readonly #known = new Map<number, Known>();
  /** Of line 0, which every chip has. */
  readonly #first: Known;

  /** To be called when the chip has just been opened. */
  constructor(library: Libgpiod, chip: LibgpiodChip) {
    // A line of anything else ends the process at once.
    if (!(chip instanceof library.Chip)) throw new TypeError('expected a chip of node-libgpiod');
    this.#library = library;
    this.#chip = chip;
    this.#first = this.#make(0);
  }

  /** As the kernel has it now. @throws a system error */
  info(offset: number): LibgpiodLine {
    const { line } = this.#line(offset);
    line.update();
    return line;
  }

  /** Leaves it as it is. @throws a system error */
  take(offset: number, consumer: string): void {
    this.#line(offset).line.lineRequest({ consumer, requestType: AS_IS, flags: 0 }, 0);
  }

  /** @throws a system error */
  configure(offset: number, { direction, flags, level }: LibgpiodConfig): void {
    this.#line(offset).bulk.updateConfig(direction, flags, [levelOf(level)]);
  }

  /** @throws a system error */
  setLevel(offset: number, level: Level): void {
    this.#line(offset).line.setValue(levelOf(level));
  }

  /** @throws a system error */
  level(offset: number): Level {
    return this.#line(offset).line.getValue();
  }

  /** Of one that is not held, nothing. */
  release(offset: number): void {
    this.#line(offset).line.release();
  }

  #line(offset: number): Known {
    const known = this.#known.get(offset);
    if (known) return known;
    // What cannot be made because the chip has gone crashes the process once it is collected: this one only throws.
    this.#first.line.update();
    return this.#make(offset);
  }

  #make(offset: number): Known {
    const line = new this.#library.Line(this.#chip, offset);
    const bulk = new this.#library.Bulk(this.#chip, [offset]);
    for (const { _handler } of [line, bulk]) kept.register(_handler, this.#chip);
    const known = { line, bulk };
    this.#known.set(offset, known);
    return known;
  }
}

/** The library takes anything for a level: `'high'` for 0, 7 for 1. */
function levelOf(level: Level): Level {
  if (level === 0 || level === 1) return level;
  throw new TypeError(`expected a level of 0 or 1, got ${JSON.stringify(level)}`);
}

interface LibgpiodConfig {
  readonly direction: number;
  readonly flags: number;
  /** Of an output. */
  readonly level: Level;
}
