/// <reference types="node" preserve="true" />
/**
 * `sai-rig/expect`: talks to a board from a test of yours, with the matching of the command `sai-expect`. Under a lease
 * it shares the console with that command: its lock, its speed, and what either has read and not used.
 */

import { LONGEST_MS } from '../base/duration.ts';
import { type Blame, RigError } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import type { FlowControl, LineFormat } from '../native/termios.ts';
import type { DrivenLines } from '../tty/console.ts';
import { openTtyConsole } from '../tty/tty-console.ts';
import { literalPattern, regexPattern } from './armed-pattern.ts';
import { BoardConsole } from './board-console.ts';
import { callSite, forCaller, toldAt } from './call-site.ts';
import { lockConsole } from './console-lock.ts';
import { crashPatterns } from './crash.ts';
import { followedOpener } from './followed-opener.ts';
import { jigRunner } from './jig-step.ts';
import { checkOptions } from './library-options.ts';
import { checkCount, checkMs, type Limits } from './limits.ts';
import { LogProxies, withSendsLogged } from './log-proxies.ts';
import { parseFormat } from './port-flags.ts';
import type { ArmedPattern } from './script.ts';
import type { Matched } from './stream-watch.ts';
import { resolveTty, type TargetTty, type TtyWords } from './target-tty.ts';
import { claimTty } from './tty-claim.ts';
import { ExpectationError, TimeUp } from './verdict.ts';

export { type Blame, type DrivenLines, ExpectationError, type FlowControl, type LineFormat, RigError };

/**
 * A text as it stands (UTF-8), bytes, or a regular expression over bytes without flags: `^` and `$` are the ends of
 * lines, and it is decided at the end of a line or when the board has been quiet for 50 ms.
 */
export type Pattern = string | Uint8Array | RegExp;

/** Ends a wait: it rejects with an {@link ExpectationError}, or with the reason of the signal. */
export interface WaitOptions {
  /** Else as the console was opened; `Infinity` waits for ever. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ConsoleOptions extends WaitOptions {
  /** Else what the lease says, else 115200. */
  readonly baudRate?: number;
  /** Else 8N1. */
  readonly format?: LineFormat;
  /** Else `none`. */
  readonly flow?: FlowControl;
  /** `never`: a tty that goes away is gone, also where the device may come back (its `reappear`); else `as leased`. */
  readonly follow?: 'as leased' | 'never';
  /** What ends a `line`; else `\n`. */
  readonly lineEnd?: string;
  /** End every wait; {@link Console.verdict} waits for them. */
  readonly pass?: readonly Pattern[];
  /** End every wait with an {@link ExpectationError}, as soon as they come. */
  readonly fail?: readonly Pattern[];
  /** As `fail`: what crashing firmware prints; else `auto`. */
  readonly crash?: 'auto' | 'none';
  /** `ignored`: patterns see the text without colours and cursor moves; else `seen`. */
  readonly escapeSequences?: 'seen' | 'ignored';
  /** Told, while somebody else reads the console: who. */
  readonly onWait?: (text: string) => void;
  /** Told what is amiss besides: a tty that goes away and comes back, bytes that came and were lost, or that the log lacks. */
  readonly onRemark?: (text: string) => void;
  /** Instead of `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What matched. */
export interface Match {
  /** Of the pattern, in the list. */
  readonly index: number;
  /** What it matched, decoded as UTF-8. */
  readonly text: string;
  readonly bytes: Uint8Array;
  /** Of a regular expression, by number: 0 is the whole match; undefined for a group that took no part. */
  readonly groups: readonly (string | undefined)[];
  /** Of a regular expression, by name. */
  readonly named: Readonly<Record<string, string | undefined>>;
}

export interface LineOptions extends WaitOptions {
  /** Longest line; else 4096. */
  readonly maxBytes?: number;
}

/**
 * A console of a board, held. One wait at a time; sending meanwhile is fine. Released at the end of an `await using`
 * block: what was read and not used is then there for the next one.
 *
 * Every call rejects with a {@link RigError} of blame `hardware` once the tty is gone.
 */
export interface Console extends AsyncDisposable {
  /** As messages name it: `tty0 (/dev/ttyUSB0)`. */
  readonly label: string;
  /**
   * Resolves once the kernel has taken all of it. Text is UTF-8.
   *
   * @throws {ExpectationError} flow control, or a tty that is away, held it up for too long
   */
  send(text: string | Uint8Array, options?: WaitOptions): Promise<void>;
  /** Sends it and the end of line. */
  line(text: string, options?: WaitOptions): Promise<void>;
  /**
   * The first of the patterns to come after what the last match used.
   *
   * @throws {ExpectationError} blame `verdict`: silence, an armed text or a crash
   */
  expect(patterns: Pattern | readonly Pattern[], options?: WaitOptions): Promise<Match>;
  /** An armed pass text, which may have come already. @throws {ExpectationError} as `expect` does */
  verdict(options?: WaitOptions): Promise<Match>;
  /** Only what arrives from now on can match. */
  fresh(): Promise<void>;
  pause(pauseMs: number, options?: Pick<WaitOptions, 'signal'>): Promise<void>;
  /** A break of that length, fresh from just before it. A pty takes it and does nothing. */
  break(breakMs: number, options?: WaitOptions): Promise<void>;
  /** DTR and RTS, fresh from just before. @throws {RigError} blame `hardware` where there are none, as on a pty */
  drive(lines: DrivenLines): Promise<void>;
  /** Has the device's jig run a sequence to its end, fresh from just before it. @throws {RigError} */
  jig(sequence: string, options?: WaitOptions): Promise<void>;
  /**
   * Whole lines, for boards that speak in nothing else: prompts have no end of line and are for `expect`. Armed
   * patterns do not look meanwhile. What comes after the last line taken is there for the next wait.
   *
   * @throws {ExpectationError} no line in time; {@link RigError} blame `protocol` for a longer one than `maxBytes`
   */
  lines(options?: LineOptions): AsyncIterable<string>;
  /** As the end of an `await using` block. Twice is fine. */
  release(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_MAX_LINE_BYTES = 4096;

/**
 * Opens a tty of the leased device by index (`'0'`) or name, or any tty by its path, once nobody else reads it and it is
 * there, which may take as long as any wait. On a path without a lease it also waits for whoever has the tty locked, and locks it.
 *
 * @throws {RigError} blame `hardware` for a tty that is missing, refused or cannot be set so, `busy` when somebody else
 *   still has it, `usage` for a tty or pattern that there is not, `unavailable` when the lease is over
 * @throws the reason of `signal`
 */
export async function openConsole(tty: string, options: ConsoleOptions = {}): Promise<Console> {
  return await forCaller(openConsole, () => openHeld(tty, options));
}

/** How a program names a tty. */
const IN_A_CALL: TtyWords = {
  asked: (tty) => `openConsole(${JSON.stringify(tty)})`,
  otherwise: 'open one by its path',
};

async function openHeld(tty: string, options: ConsoleOptions): Promise<Console> {
  checkOptions('open', options, 'openConsole');
  options.signal?.throwIfAborted();
  const timeoutMs = checkedTimeoutMs(options.timeoutMs);
  if (options.baudRate !== undefined) checkCount(options.baudRate, 'baudRate');
  const env = options.env ?? process.env;
  const target = resolveTty(tty, env, IN_A_CALL);
  const held: AsyncDisposable[] = [];
  const release = (): Promise<void> => releaseAll(held.splice(0).reverse());
  const late = new AbortController();
  const timer =
    timeoutMs <= LONGEST_MS ? setTimeout(() => late.abort(new TimeUp(timeoutMs)), timeoutMs) : undefined;
  using until = new LinkedSignal(options.signal ? [late.signal, options.signal] : [late.signal]);
  try {
    await take(target, options, env, until.signal, held);
    const log = await LogProxies.open(env, options.onRemark ?? (() => {}));
    held.push({
      [Symbol.asyncDispose]: async () => {
        const loss = await log.close();
        if (loss) options.onRemark?.(loss.message);
      },
    });
    const ttyLog = await log.tty(target.label, target.logIndex);
    const onChange = (text: string): void => options.onRemark?.(text);
    const follow = options.follow ?? 'as leased';
    const open = await followedOpener(openTtyConsole, target, follow, until.signal, onChange);
    const console = await open(target.path, {
      label: target.label,
      baudRate: options.baudRate ?? target.baudRate,
      hangUpOnClose: target.hangUpOnClose,
      format: parseFormat(options.format ?? '8N1', 'format'),
      flow: options.flow ?? 'none',
    });
    held.push(console);
    const board = new BoardConsole({
      console: withSendsLogged(console, ttyLog),
      unread: target.unread,
      pass: armed(options.pass ?? [], 'pass'),
      fail: armed(options.fail ?? [], 'fail'),
      crash: crashPatterns(options.crash ?? 'auto', target.crash),
      escapeSequences: options.escapeSequences ?? 'seen',
      runJig: (sequence, signal) => {
        const text = jigCall(sequence);
        return log.jig(jigRunner([{ kind: 'jig', text, sequence }], env, jigCall))(sequence, signal);
      },
      onBytes: (chunk) => ttyLog?.send(chunk),
      logGapBytes: () => ttyLog?.gapBytes ?? 0,
      onLoss: (loss) => options.onRemark?.(loss.message),
    });
    held.push(board);
    return new HeldConsole(board, options, release);
  } catch (error) {
    await release().catch(() => {}); // what came first tells more
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** All of them, also after one that fails: a lock that stayed held would stop whoever is next. @throws the first error */
async function releaseAll([first, ...others]: readonly AsyncDisposable[]): Promise<void> {
  if (!first) return;
  try {
    await first[Symbol.asyncDispose]();
  } finally {
    await releaseAll(others);
  }
}

/** The console's lock, and the tty's where no lease has it. */
async function take(
  tty: TargetTty,
  { onWait }: ConsoleOptions,
  env: NodeJS.ProcessEnv,
  until: AbortSignal,
  held: AsyncDisposable[],
): Promise<void> {
  const tell = (holder: string): void => onWait?.(`${tty.label}: waiting for ${holder}`);
  if (tty.lock) held.push(await lockConsole(tty.lock, tty.label, until, tell));
  if (tty.heldBy === 'nobody') {
    const claim = await claimTty(tty.path, { label: tty.label, env, until, onWait: tell });
    held.push({ [Symbol.asyncDispose]: async () => claim[Symbol.dispose]() });
  }
}

class HeldConsole implements Console {
  readonly #board: BoardConsole;
  readonly #options: ConsoleOptions;
  readonly #release: () => Promise<void>;
  #releasing: Promise<void> | undefined;

  constructor(board: BoardConsole, options: ConsoleOptions, release: () => Promise<void>) {
    this.#board = board;
    this.#options = options;
    this.#release = release;
  }

  get label(): string {
    return this.#board.label;
  }

  async send(text: string | Uint8Array, options: WaitOptions = {}): Promise<void> {
    await forCaller(this.send, () => this.#board.send(bytesOf(text), this.#limits(options, 'send')));
  }

  async line(text: string, options: WaitOptions = {}): Promise<void> {
    const bytes = bytesOf(`${text}${this.#options.lineEnd ?? '\n'}`);
    await forCaller(this.line, () => this.#board.send(bytes, this.#limits(options, 'line')));
  }

  async expect(patterns: Pattern | readonly Pattern[], options: WaitOptions = {}): Promise<Match> {
    return await forCaller(this.expect, async () => {
      const choice = isPattern(patterns) ? [patterns] : patterns;
      if (choice.length === 0) throw new RigError('usage', 'expect: expected at least one pattern, got none');
      return matchOf(await this.#board.expect(armed(choice, 'expect'), this.#limits(options, 'expect')));
    });
  }

  async verdict(options: WaitOptions = {}): Promise<Match> {
    return await forCaller(this.verdict, async () =>
      matchOf(await this.#board.verdict(this.#limits(options, 'verdict'))),
    );
  }

  async fresh(): Promise<void> {
    await forCaller(this.fresh, () => this.#board.fresh());
  }

  async pause(pauseMs: number, options: Pick<WaitOptions, 'signal'> = {}): Promise<void> {
    await forCaller(this.pause, async () => {
      checkOptions('pause', options, 'pause');
      await this.#board.pause(checkMs(pauseMs, 'pause', 'end only'), this.#limits(options, 'pause'));
    });
  }

  async break(breakMs: number, options: WaitOptions = {}): Promise<void> {
    await forCaller(this.break, async () => {
      await this.#board.sendBreak(checkMs(breakMs, 'break', 'end only'), this.#limits(options, 'break'));
    });
  }

  async drive(lines: DrivenLines): Promise<void> {
    await forCaller(this.drive, async () => {
      checkOptions('drive', lines, 'drive');
      await this.#board.drive(lines);
    });
  }

  async jig(sequence: string, options: WaitOptions = {}): Promise<void> {
    await forCaller(this.jig, () => this.#board.jig(sequence, this.#limits(options, 'jig')));
  }

  lines(options: LineOptions = {}): AsyncGenerator<string, void, undefined> {
    return this.#lines(options, callSite(this.lines));
  }

  async *#lines(options: LineOptions, site: () => string): AsyncGenerator<string, void, undefined> {
    try {
      // Loaded for those who ask for it.
      const { linesOf } = await import('./lines-view.ts');
      checkOptions('lines', options, 'lines');
      const { maxBytes = DEFAULT_MAX_LINE_BYTES, ...wait } = options;
      yield* linesOf(this.#board, checkCount(maxBytes, 'maxBytes'), this.#limits(wait, 'lines'));
    } catch (error) {
      throw toldAt(site, error);
    }
  }

  release(): Promise<void> {
    this.#releasing ??= this.#release();
    return this.#releasing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  /** @throws {RigError} blame `usage`, naming the call */
  #limits(options: WaitOptions, call: string): Limits {
    checkOptions('wait', options, call);
    const { timeoutMs, signal } = options;
    return {
      timeoutMs: checkedTimeoutMs(timeoutMs ?? this.#options.timeoutMs),
      signal: signal ?? this.#options.signal,
    };
  }
}

function jigCall(sequence: string): string {
  return `jig(${JSON.stringify(sequence)})`;
}

/** @throws {RigError} blame `usage` */
function checkedTimeoutMs(timeoutMs = DEFAULT_TIMEOUT_MS): number {
  return checkMs(timeoutMs, 'timeoutMs', 'be Infinity');
}

function isPattern(patterns: Pattern | readonly Pattern[]): patterns is Pattern {
  return typeof patterns === 'string' || patterns instanceof Uint8Array || patterns instanceof RegExp;
}

/** @throws {RigError} blame `usage`, naming `what` */
function armed(patterns: readonly Pattern[], what: string): ArmedPattern[] {
  return patterns.map((pattern) => {
    if (pattern instanceof RegExp) return regexPattern(sourceOf(pattern, what), what, 'never');
    return literalPattern(bytesOf(pattern), what);
  });
}

function sourceOf({ source, flags }: RegExp, what: string): string {
  if (flags.replace(/[mu]/g, '') === '') return source;
  throw new RigError(
    'usage',
    `${what}: expected a regular expression without flags, got /${source}/${flags}`,
  );
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

function matchOf({ index, bytes, captures }: Matched): Match {
  const text = (each: Uint8Array | undefined): string | undefined =>
    each && Buffer.from(each.buffer, each.byteOffset, each.length).toString('utf8');
  const named = Object.entries(captures?.named ?? {}).map(([name, each]) => [name, text(each)] as const);
  return {
    index,
    text: text(bytes) ?? '',
    bytes,
    groups: captures?.groups.map(text) ?? [],
    named: Object.fromEntries(named),
  };
}
