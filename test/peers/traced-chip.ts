import type { GpioGuest, GuestProcess, SimChip } from './gpio-guest.ts';

/** `3.141592: gpio_value: 1012 set 1`, `… gpio_direction: 1012 out (0)`; what failed, and is only read, changes nothing. */
const EVENT = / ([\d.]+): gpio_(?:value|direction): (\d+)\s+(?:(in|out) \(0\)|set ([01]))/;

const MS_PER_S = 1000;

/** A gpio-sim chip in the guest, and what the kernel does to its lines. */
export class TracedChip {
  readonly label: string;
  readonly #guest: GpioGuest;
  readonly #names: readonly string[];
  #sim: SimChip;
  #read = 0;

  static async add(guest: GpioGuest, label: string, names: readonly string[]): Promise<TracedChip> {
    const sim = await guest.addChip(label, names);
    const trace = traceOf(label);
    // The clock that the jig goes by.
    await guest.shell(
      `mkdir ${trace}; echo mono > ${trace}/trace_clock; echo 1 > ${trace}/events/gpio/enable`,
    );
    return new TracedChip(guest, label, names, sim);
  }

  private constructor(guest: GpioGuest, label: string, names: readonly string[], sim: SimChip) {
    this.#guest = guest;
    this.label = label;
    this.#names = names;
    this.#sim = sim;
  }

  /** Node of it. */
  get path(): string {
    return this.#sim.path;
  }

  /** What was done to its lines since the last call, as `reset set 1` and `reset out`. */
  async events(): Promise<string[]> {
    return (await this.timedEvents()).map(({ event }) => event);
  }

  /** The same, with the microsecond of CLOCK_MONOTONIC nearest to when it was done. */
  async timedEvents(): Promise<{ readonly event: string; readonly atMs: number }[]> {
    const matches = await this.#traced();
    const base = await this.#base();
    const fresh = matches.slice(this.#read);
    this.#read = matches.length;
    return fresh.flatMap((match) => {
      const event = this.#told(match, base);
      return event === undefined ? [] : [{ event, atMs: Number(match[1]) * MS_PER_S }];
    });
  }

  /** Calls `listener` with each of {@link events} from now on, as it happens; they are no more for the others. */
  async follow(listener: (event: string) => void): Promise<GuestProcess> {
    const base = await this.#base();
    const reader = this.#guest.start('cat', [`${traceOf(this.label)}/trace_pipe`]);
    reader.onLine((line) => {
      const event = this.#told(EVENT.exec(line), base);
      if (event !== undefined) listener(event);
    });
    return reader;
  }

  /** Levels of its lines. */
  async levels(): Promise<string> {
    const files = this.#names.map((_, offset) => `${this.#sim.sysfs}/sim_gpio${offset}/value`);
    return (await this.#guest.shell(`cat ${files.join(' ')}`)).trim().split('\n').join(' ');
  }

  /** What the board does to a line that nobody drives. */
  async pull(name: string, direction: 'up' | 'down'): Promise<void> {
    await this.#guest.shell(`echo pull-${direction} > ${this.pullOf(name)}`);
  }

  /** The file that says so to the simulator. */
  pullOf(name: string): string {
    return `${this.#sim.sysfs}/sim_gpio${this.#names.indexOf(name)}/pull`;
  }

  /** What was done to its lines until now is forgotten: it may come back with other numbers. */
  async unplug(): Promise<void> {
    await this.#guest.shell(`echo 0 > ${this.#sim.config}/live`);
    this.#read = (await this.#traced()).length;
  }

  async plug(): Promise<void> {
    const { config } = this.#sim;
    const printed = await this.#guest.shell(
      `echo 1 > ${config}/live; cat ${config}/dev_name ${config}/bank/chip_name`,
    );
    const [device = '', chip = ''] = printed.trim().split('\n');
    this.#sim = { config, sysfs: `/sys/devices/platform/${device}/${chip}`, path: `/dev/${chip}` };
  }

  /** Undefined for what was done to another chip. */
  #told(match: RegExpExecArray | null, base: number): string | undefined {
    const [, , number, direction, level] = match ?? [];
    const name = this.#names[Number(number) - base];
    return name === undefined ? undefined : `${name} ${direction ?? `set ${level}`}`;
  }

  async #traced(): Promise<RegExpExecArray[]> {
    const all = (await this.#guest.shell(`cat ${traceOf(this.label)}/trace`)).split('\n');
    return all.map((line) => EVENT.exec(line)).filter((match) => match !== null);
  }

  /** Number of its first line among all of the kernel: the trace tells those. */
  async #base(): Promise<number> {
    const file = await this.#guest.shell(`grep -lx ${this.label} /sys/class/gpio/gpiochip*/label`);
    return Number(/gpiochip(\d+)\/label/.exec(file)?.[1]);
  }
}

function traceOf(label: string): string {
  return `/sys/kernel/tracing/instances/${label}`;
}
