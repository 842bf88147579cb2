/** A chip of gpio-sim with {@link BENCH_LINES}, as the board sees it: by what the kernel traces, and its pulls. */

import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { GpioChip, Level } from '../../src/jig/gpio.ts';
import { BENCH_LINES, type GpioBench } from '../jig/gpio-contract.ts';

const CONFIGFS = '/sys/kernel/config/gpio-sim';
const MS_PER_S = 1000;
const TRACES = '/sys/kernel/tracing/instances';

/** `gpio_value: 1012 set 1`, `gpio_direction: 1012 out (0)`; what failed, and what is read, changes nothing. */
const EVENT = / ([\d.]+): gpio_(?:value|direction): (\d+)\s+(?:(in|out) \(0\)|set ([01]))/;

let made = 0;

export interface SimBench extends GpioBench {
  readonly label: string;
  /** Its node. */
  path(): string;
  /** Milliseconds between what was told the line and what it was told before, by the kernel's clock. */
  intervalsMs(offset: number): readonly number[];
  /** {@link GpioBench.changes}, each with when the kernel traced it: what it did not, with what it did before. */
  readonly timedChanges: readonly TimedChange[];
  /** The kernel has a line for itself from the next {@link GpioBench.plug} on, under that name. */
  hog(offset: number, name: string): void;
}

interface TimedChange {
  /** Of CLOCK_MONOTONIC. */
  readonly atS: number;
  readonly what: string;
}

/** What the boards of several chips have seen, in its order. */
export function changesOf(...benches: readonly SimBench[]): string[] {
  const all = benches.flatMap(({ timedChanges, label }) =>
    timedChanges.map(({ atS, what }) => ({ atS, what: `${label} ${what}` })),
  );
  return all.sort((one, other) => one.atS - other.atS).map(({ what }) => what);
}

/** Up until the test is finished. */
export function simBench(open: (label: string) => Promise<GpioChip>, twinOf?: string): SimBench {
  made += 1;
  const label = twinOf ?? `bench-${made}`;
  const chip = new SimChip(`bench-${made}`, label);
  onTestFinished(() => chip.remove());
  const board = new TracedBoard(chip);
  onTestFinished(() => board.stop());
  return {
    label,
    path: () => `/dev/${chip.name}`,
    open: () => open(label),
    intervalsMs: (offset) => board.intervalsMs(offset),
    levelAt: (offset) => board.levelAt(offset),
    driveFromBoard: (offset, level) => chip.pull(offset, level),
    get changes() {
      return board.changes().map(({ what }) => what);
    },
    get timedChanges() {
      return board.changes();
    },
    hog: (offset, name) => chip.hog(offset, name),
    unplug: async () => chip.setLive(false),
    plug: async () => {
      chip.setLive(true);
      board.startOver();
    },
  };
}

class SimChip {
  /** The kernel's own, while it is live. */
  name = '';
  #sysfs = '';
  readonly #label: string;
  readonly #config: string;
  readonly #hogs: string[] = [];

  constructor(device: string, label: string) {
    this.#label = label;
    this.#config = join(CONFIGFS, device);
    mkdirSync(join(this.#config, 'bank'), { recursive: true });
    writeFileSync(join(this.#config, 'bank/label'), label);
    writeFileSync(join(this.#config, 'bank/num_lines'), `${BENCH_LINES.length}`);
    for (const [offset, name] of BENCH_LINES.entries()) {
      mkdirSync(join(this.#config, `bank/line${offset}`));
      writeFileSync(join(this.#config, `bank/line${offset}/name`), name);
    }
    this.setLive(true);
  }

  setLive(isLive: boolean): void {
    if (isLive === (this.name !== '')) return;
    this.name = '';
    writeFileSync(join(this.#config, 'live'), isLive ? '1' : '0');
    if (!isLive) return;
    this.name = readText(join(this.#config, 'bank/chip_name'));
    this.#sysfs = join('/sys/devices/platform', readText(join(this.#config, 'dev_name')), this.name);
  }

  /** Of its first line, among all lines of the kernel: the traces tell those. */
  get base(): number {
    const folders = readdirSync('/sys/class/gpio').filter((name) => name.startsWith('gpiochip'));
    const own = folders.find((name) => readText(`/sys/class/gpio/${name}/label`) === this.#label);
    return Number(own?.slice('gpiochip'.length));
  }

  /** What the simulator's own line says: of one that was made an input, what it was driven to before. */
  rawLevelAt(offset: number): Level {
    return readText(join(this.#sysfs, `sim_gpio${offset}/value`)) === '1' ? 1 : 0;
  }

  pulledTo(offset: number): Level {
    return readText(join(this.#sysfs, `sim_gpio${offset}/pull`)) === 'pull-up' ? 1 : 0;
  }

  pull(offset: number, level: Level): void {
    writeFileSync(join(this.#sysfs, `sim_gpio${offset}/pull`), level ? 'pull-up' : 'pull-down');
  }

  hog(offset: number, name: string): void {
    const folder = join(this.#config, `bank/line${offset}/hog`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'name'), name);
    writeFileSync(join(folder, 'direction'), 'output-low');
    this.#hogs.push(folder);
  }

  remove(): void {
    this.setLive(false);
    for (const folder of this.#hogs) rmdirSync(folder);
    for (const offset of BENCH_LINES.keys()) rmdirSync(join(this.#config, `bank/line${offset}`));
    rmdirSync(join(this.#config, 'bank'));
    rmdirSync(this.#config);
  }
}

/** Follows every line by the kernel's trace of what it does to it. */
class TracedBoard {
  readonly #chip: SimChip;
  readonly #trace: string;
  readonly #driven = new Map<number, Level>();
  readonly #levels = new Map<number, Level>();
  readonly #changes: TimedChange[] = [];
  #atS = 0;
  #base: number;
  #linesRead = 0;
  #told: Level = 0;

  constructor(chip: SimChip) {
    this.#chip = chip;
    this.#base = chip.base;
    this.#trace = join(TRACES, chip.name);
    mkdirSync(this.#trace);
    // What pulses go by.
    writeFileSync(join(this.#trace, 'trace_clock'), 'mono');
    writeFileSync(join(this.#trace, 'events/gpio/enable'), '1');
  }

  changes(): readonly TimedChange[] {
    this.#follow();
    return [...this.#changes];
  }

  levelAt(offset: number): Level {
    this.#follow();
    return this.#levels.get(offset) ?? 0;
  }

  intervalsMs(offset: number): readonly number[] {
    const events = this.#traced().map((line) => EVENT.exec(line));
    const own = events.filter(
      (event) => event?.[4] !== undefined && Number(event[2]) - this.#base === offset,
    );
    const times = own.map((event) => Number(event?.[1]) * MS_PER_S);
    return times.slice(1).map((time, index) => time - (times[index] ?? 0));
  }

  /** The chip is a new one. */
  startOver(): void {
    this.#driven.clear();
    this.#linesRead = this.#traced().length;
    this.#base = this.#chip.base;
  }

  stop(): void {
    rmdirSync(this.#trace);
  }

  #follow(): void {
    const lines = this.#traced();
    for (const line of lines.slice(this.#linesRead)) this.#apply(line);
    this.#linesRead = lines.length;
    // That a line is let go of with its request is not traced; the simulator then pulls it.
    for (const [offset, level] of this.#driven) {
      if (this.#chip.rawLevelAt(offset) !== level) this.#letGo(offset);
    }
    for (const offset of BENCH_LINES.keys()) {
      if (!this.#driven.has(offset)) this.#see(offset, this.#chip.pulledTo(offset));
    }
  }

  #traced(): string[] {
    return readText(join(this.#trace, 'trace'))
      .split('\n')
      .filter((line) => EVENT.test(line));
  }

  #apply(line: string): void {
    const [, time, number, what, level] = EVENT.exec(line) ?? [];
    this.#atS = Number(time);
    const offset = Number(number) - this.#base;
    if (BENCH_LINES[offset] === undefined) return; // of another chip
    if (what === 'in') this.#letGo(offset);
    // The level of a line that becomes an output is told just before that it does.
    else if (what === 'out') this.#drive(offset, this.#told);
    else {
      this.#told = level === '1' ? 1 : 0;
      if (this.#driven.has(offset)) this.#drive(offset, this.#told);
    }
  }

  #drive(offset: number, level: Level): void {
    this.#driven.set(offset, level);
    this.#see(offset, level);
  }

  #letGo(offset: number): void {
    this.#driven.delete(offset);
    this.#see(offset, this.#chip.pulledTo(offset));
  }

  #see(offset: number, level: Level): void {
    if (level === (this.#levels.get(offset) ?? 0)) return;
    this.#levels.set(offset, level);
    this.#changes.push({ atS: this.#atS, what: `${BENCH_LINES[offset]}=${level}` });
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8').trim();
}
