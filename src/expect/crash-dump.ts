import { OutputLines } from '../results/output-lines.ts';
import type { CrashFamily } from '../wire/crash.ts';
import { BOOT_LINES, CRASH_KNOWLEDGE } from './crash-families.ts';

/** A board that has said nothing for this long has told all of its crash. */
export const DUMP_QUIET_MS = 2000;
/** A dump that goes on for ever is cut here. */
export const DUMP_LIMIT_MS = 10_000;
const DUMP_LIMIT_BYTES = 256 * 1024;

const NEWLINE = 0x0a;

/** What is told of a crash, in this order. */
const FACTS = ['reason', 'pc', 'address', 'task'] as const;
type Fact = (typeof FACTS)[number];

/** Follows a dump to its end. */
export class CrashDump {
  readonly #last: RegExp | undefined;
  readonly #boots = BOOT_LINES.map(({ source }) => new RegExp(source));
  readonly #lines = new OutputLines();
  /** A start too many is followed by no dump: what it has begun to say is read to the end of the line. */
  readonly #endsWithLine: boolean;
  #sizeBytes = 0;
  /** Of the line that has not ended. */
  #lineBytes = 0;
  #isNextStart = false;
  #isLast = false;
  #isOver = false;

  constructor(family: CrashFamily | 'device') {
    const known = CRASH_KNOWLEDGE.find((each) => each.family === family);
    this.#last = known?.last?.();
    this.#endsWithLine = family === 'reset-loop';
  }

  /** Whether its last line has come, or the next start of the board, or too much. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** How many more of the bytes that it has been given belong to it: whole lines, whatever the chunks. */
  push(chunk: Uint8Array): number {
    let used = 0;
    for (let from = 0; !this.#isOver && from < chunk.length; ) {
      const newline = chunk.indexOf(NEWLINE, from);
      const end = newline < 0 ? chunk.length : newline + 1;
      for (const line of this.#lines.push(chunk.subarray(from, end))) this.#look(line);
      this.#lineBytes += end - from;
      this.#sizeBytes += end - from;
      from = end;
      if (newline < 0) break;
      used += this.#takeLine();
      if (this.#endsWithLine && from >= chunk.length) this.#isOver = true;
    }
    if (this.#sizeBytes >= DUMP_LIMIT_BYTES) this.#isOver = true;
    return used;
  }

  #look(line: string): void {
    this.#isNextStart ||= this.#boots.some((boot) => boot.test(line));
    this.#isLast ||= this.#last?.test(line) === true;
  }

  #takeLine(): number {
    const lineBytes = this.#lineBytes;
    this.#lineBytes = 0;
    this.#isOver = this.#isNextStart || this.#isLast;
    return this.#isNextStart ? 0 : lineBytes;
  }
}

/** What a dump says beyond its first line, in words and as it stands there. `text` may hold what came before it. */
export function evidenceIn(
  family: CrashFamily | 'device',
  firstLine: string,
  text: string,
): { /** `pc 0x400d1234, address 0x00000000` */ readonly told: string; readonly values: readonly string[] } {
  const facts = new Map<Fact, string>();
  for (const regex of CRASH_KNOWLEDGE.find((each) => each.family === family)?.evidence() ?? []) {
    const groups = regex.exec(text)?.groups ?? {};
    for (const fact of FACTS) {
      const value = groups[fact];
      if (value !== undefined && !facts.has(fact) && !firstLine.includes(value)) facts.set(fact, value);
    }
  }
  const told = FACTS.flatMap((fact) => {
    const value = facts.get(fact);
    return value === undefined ? [] : [fact === 'reason' ? value : `${fact} ${value}`];
  });
  return { told: told.join(', '), values: [...facts.values()] };
}
