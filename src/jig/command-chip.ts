/** A chip whose lines are commands: relay boards, GPIO servers, whatever has a program. */

import { RigError } from '../base/errors.ts';
import {
  type ChipLine,
  type Drive,
  type GpioChip,
  type Level,
  type LineRequest,
  type LineSettings,
  plainDrive,
} from './gpio.ts';
import { lastWords, type ProgramOutcome } from './run-program.ts';

/** What drives one line. */
export interface CommandLine {
  readonly name: string;
  readonly high: readonly string[];
  readonly low: readonly string[];
  /** Lets go of it; without, it cannot be let go of, and keeps its level when nobody holds it any more. */
  readonly release: readonly string[] | undefined;
}

export type RunCommand = (argv: readonly string[]) => Promise<ProgramOutcome>;

/** The lines of any number of opened chips; one command at a time, in the order of the calls. */
export class CommandLines {
  readonly name: string;
  readonly #lines: readonly CommandLine[];
  readonly #run: RunCommand;
  readonly #holders = new Map<number, string>();
  readonly #levels = new Map<number, Drive>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(name: string, lines: readonly CommandLine[], run: RunCommand) {
    this.name = name;
    this.#lines = lines;
    this.#run = run;
  }

  async open(): Promise<GpioChip> {
    return new CommandChip(this);
  }

  lines(): readonly ChipLine[] {
    return this.#lines.map(({ name }, offset) => ({ offset, name, consumer: this.#holders.get(offset) }));
  }

  /** All or none, as far as commands can: those before one that fails are let go of again. */
  async take(consumer: string, wanted: ReadonlyMap<number, LineSettings>): Promise<void> {
    const drives = new Map(
      [...wanted].map(([offset, settings]) => [offset, this.#initial(offset, settings)]),
    );
    for (const offset of wanted.keys()) this.#holders.set(offset, consumer);
    try {
      await this.set(drives);
    } catch (error) {
      await this.release([...wanted.keys()]).catch(() => {}); // the first failure is the one to tell
      throw error;
    }
  }

  async set(drives: ReadonlyMap<number, Drive>): Promise<void> {
    await this.#inTurn(async () => {
      for (const [offset, drive] of drives) await this.#drive(offset, drive);
    });
  }

  levelOf(offset: number): Level {
    return this.#levels.get(offset) === 1 ? 1 : 0;
  }

  /** Tried for each, also where another fails. @throws the first failure */
  async release(offsets: readonly number[]): Promise<void> {
    await this.#inTurn(async () => {
      const failures: unknown[] = [];
      for (const offset of offsets) {
        if (this.#lines[offset]?.release) {
          await this.#drive(offset, 'released').catch((error: unknown) => failures.push(error));
        }
        this.#holders.delete(offset);
      }
      if (failures.length > 0) throw failures[0];
    });
  }

  async #drive(offset: number, drive: Drive): Promise<void> {
    const line = this.#lines[offset];
    const argv = drive === 'released' ? line?.release : drive === 1 ? line?.high : line?.low;
    if (!argv) throw new RigError('usage', `${this.name}: line ${offset}: expected a level`);
    const outcome = await this.#run(argv);
    if (outcome.status !== 0) {
      throw new RigError(
        'hardware',
        `${this.name}: ${line?.name}: ${argv.join(' ')}: expected status 0, got ${outcome.status}: ${lastWords(outcome)}`,
      );
    }
    this.#levels.set(offset, drive);
  }

  #initial(offset: number, settings: LineSettings): Drive {
    const line = this.#lines[offset];
    const refuse = (text: string): RigError =>
      new RigError('config', `${this.name}: ${line?.name ?? offset}: ${text}`);
    if (!line) throw refuse(`expected an offset below ${this.#lines.length}, the chip's number of lines`);
    const holder = this.#holders.get(offset);
    if (holder !== undefined) {
      throw new RigError('busy', `${this.name}: ${line.name}: expected a free line, it is held by ${holder}`);
    }
    if (settings.direction === 'input') throw refuse('expected an output, a command is no input');
    if (settings.bias !== 'as-is') throw refuse('expected no bias, commands have none');
    const isReleased = settings.mode !== 'push-pull' || settings.initial === 'released';
    if (isReleased && !line.release) throw refuse('expected a "release" command, to let go of it');
    return plainDrive(settings.mode, settings.initial);
  }

  async #inTurn(body: () => Promise<void>): Promise<void> {
    const mine = this.#last.then(body);
    this.#last = mine.catch(() => {}); // told to who asked
    await mine;
  }
}

class CommandChip implements GpioChip {
  readonly name: string;
  /** A program that is gone fails, and may be back the next time. */
  readonly gone = new AbortController().signal;
  readonly #lines: CommandLines;
  readonly #requests = new Set<CommandRequest>();

  constructor(lines: CommandLines) {
    this.name = lines.name;
    this.#lines = lines;
  }

  async lines(): Promise<readonly ChipLine[]> {
    return this.#lines.lines();
  }

  async request(consumer: string, wanted: ReadonlyMap<number, LineSettings>): Promise<LineRequest> {
    await this.#lines.take(consumer, wanted);
    const request = new CommandRequest(this.#lines, wanted);
    this.#requests.add(request);
    return request;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const request of this.#requests) await request[Symbol.asyncDispose]();
  }
}

class CommandRequest implements LineRequest {
  readonly #lines: CommandLines;
  readonly #settings: ReadonlyMap<number, LineSettings>;
  #isReleased = false;

  constructor(lines: CommandLines, settings: ReadonlyMap<number, LineSettings>) {
    this.#lines = lines;
    this.#settings = settings;
  }

  async set(drives: ReadonlyMap<number, Drive>): Promise<void> {
    const plain = new Map<number, Drive>();
    for (const [offset, drive] of drives) {
      const settings = this.#check(offset);
      if (settings.direction === 'output') plain.set(offset, plainDrive(settings.mode, drive));
    }
    await this.#lines.set(plain);
  }

  async get(offset: number): Promise<Level> {
    this.#check(offset);
    return this.#lines.levelOf(offset);
  }

  onEdge(): () => void {
    return () => {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    await this.#lines.release([...this.#settings.keys()]);
  }

  #check(offset: number): LineSettings {
    if (this.#isReleased) throw new RigError('usage', `line ${offset}: expected a held line, it is released`);
    const settings = this.#settings.get(offset);
    if (!settings) throw new RigError('usage', `line ${offset}: expected a requested line`);
    return settings;
  }
}
