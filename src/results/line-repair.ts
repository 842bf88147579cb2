import type { ResultEvent, ResultFormat } from './test-result.ts';

/**
 * What a kernel or a logger begins its own lines with, where it printed into another line: printk's time and level,
 * Zephyr's and ESP-IDF's time. Source: Linux, kernel/printk/printk.c: print_time; Zephyr, subsys/logging/log_output.c;
 * ESP-IDF, esp_log.h: LOG_FORMAT.
 */
const FOREIGN =
  /(?:<\d>)?\[ *\d{1,8}\.\d{6}\](?:\[ *[TC]\d+\])? |\[\d\d:\d\d:\d\d\.\d{3},\d{3}\] <(?:err|wrn|inf|dbg)> |[EWIDV] \(\d+\) [\w.-]+: /;
/** In front of a line of our own, as a Linux console puts it before what a test writes to the kernel's log. */
const OWN_PREFIX = /^(?:<\d>)?\[ *\d{1,8}\.\d{6}\](?:\[ *[TC]\d+\])? /;

/** A nested line before its `ok`, whose second half by itself would be a point that is not nested. */
const NESTED_TAP = /^\s+(?:n(?:o(?:t ?)?)?)?$/;

/** More than ever came between two halves; then the first half is given up. */
const MAX_FOREIGN_LINES = 16;

/** What a line says; or what it is, when it says nothing; or the half of one that cannot be put together. */
export type Repaired =
  | { readonly kind: 'event'; readonly event: ResultEvent }
  | { readonly kind: 'text' | 'cut'; readonly text: string };

/**
 * Understands lines into which others were printed: the first half, what follows the foreign lines, and together
 * exactly one result line. Where both halves make sense by themselves they are two lines; what makes none is told.
 */
export class LineRepair {
  readonly #format: ResultFormat;
  #half: string | undefined;
  #foreignLines = 0;

  constructor(format: ResultFormat) {
    this.#format = format;
  }

  push(line: string): Repaired[] {
    const own = line.replace(OWN_PREFIX, '');
    const isOwn = own !== line && this.#format.parse(own) !== undefined;
    const foreignAt = isOwn ? -1 : line.search(FOREIGN);
    if (this.#half === undefined) return this.#first(isOwn ? own : line, foreignAt);
    if (foreignAt === 0 || isOwn) return this.#betweenHalves(isOwn ? own : undefined);
    if (foreignAt > 0) return this.#grow(line.slice(0, foreignAt));
    return this.#join(line);
  }

  /** No second half will come. */
  end(): Repaired[] {
    return this.#half === undefined ? [] : this.#alone(this.#takeHalf());
  }

  #first(line: string, foreignAt: number): Repaired[] {
    if (foreignAt < 0) return this.#whole(line);
    if (foreignAt > 0) this.#hold(line.slice(0, foreignAt));
    return [];
  }

  /** A whole line of somebody else's, or of the kernel's that tells of a test. */
  #betweenHalves(own: string | undefined): Repaired[] {
    this.#foreignLines++;
    // Never one that may be a result: without its `not `, a failed test would be a pass.
    const isGivenUp = this.#foreignLines > MAX_FOREIGN_LINES && !this.#format.begun.test(this.#half ?? '');
    const given = isGivenUp ? this.#alone(this.#takeHalf()) : [];
    return own === undefined ? given : [...given, ...this.#whole(own)];
  }

  /** Cut once more; or the half was a whole line, and this is the first half of the next one. */
  #grow(more: string): Repaired[] {
    const half = this.#takeHalf();
    if (this.#format.parse(half) && this.#format.begun.test(more)) {
      this.#hold(more);
      return this.#alone(half);
    }
    this.#hold(half + more);
    return [];
  }

  #join(line: string): Repaired[] {
    const half = this.#takeHalf();
    if (this.#format.name === 'tap' && NESTED_TAP.test(half)) return this.#whole(half + line);
    const joined = this.#format.parse(half + line);
    if (joined && !this.#isTwoLines(half, line)) return [{ kind: 'event', event: joined }];
    const isText = !this.#format.parse(half) && !this.#format.parse(line) && !this.#format.begun.test(half);
    return isText ? [{ kind: 'text', text: half + line }] : [...this.#alone(half), ...this.#whole(line)];
  }

  /** `not ` and `ok 3` are one line; `ok 2` and `ok 3` are two. */
  #isTwoLines(half: string, line: string): boolean {
    return this.#format.parse(half) !== undefined && this.#format.parse(line) !== undefined;
  }

  #alone(half: string): Repaired[] {
    const event = this.#format.parse(half);
    if (event) return [{ kind: 'event', event }];
    return [{ kind: this.#format.begun.test(half) ? 'cut' : 'text', text: half }];
  }

  #whole(line: string): Repaired[] {
    const event = this.#format.parse(line);
    return [event ? { kind: 'event', event } : { kind: 'text', text: line }];
  }

  /** A line may be cut between its `\r` and its `\n`. */
  #hold(half: string): void {
    this.#half = half.replace(/\r+$/, '');
    this.#foreignLines = 1;
  }

  #takeHalf(): string {
    const half = this.#half ?? '';
    this.#half = undefined;
    return half;
  }
}
