/** Runs the command of a lease and leaves nothing of it behind. */

import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { errnoCode, reasonOf } from '../base/errors.ts';
import { EXIT_CANNOT_START, EXIT_NOT_FOUND, exitStatusOfSignal } from '../base/exit.ts';
import { readChildPids, readProcess, readProcessTable } from '../base/process-table.ts';
import { reap } from '../native/process.ts';
import { type DaemonPatterns, isKept, NAMED_AFTER_MS } from './daemons.ts';
import type { Guard } from './guard.ts';
import {
  endTree,
  type KnownProcess,
  knownProcess,
  livingTrees,
  RELAY_VARIABLE,
  signalEach,
  withoutRelayed,
} from './process-tree.ts';
import type { SignalDesk } from './signals.ts';
import type { Trouble, TtyKeeper } from './tty-keeper.ts';

/** How often the guard is told of the command's daemons. */
const CHECK_EVERY_MS = 500;

/** Signals after which a command is expected to end. */
const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** What a command's lease adds: without it (a command that joins its parent's lease) strays are the parent's business. */
export interface Custody {
  readonly guard: Pick<Guard, 'know' | 'pids'>;
  readonly keeper: Pick<TtyKeeper, 'start' | 'conclude'>;
  readonly maxLeaseMs: number;
  /** Told as soon as the command itself has ended. */
  readonly onEnd?: () => void;
  /** What may outlive the command, and who is told, once it has ended, what does. */
  readonly daemons?: { readonly keep: DaemonPatterns; readonly onKept: (pids: readonly number[]) => void };
}

/** For a command that has nothing but what it starts: that ends with it. */
export const CUSTODY_OF_TREE: Custody = {
  guard: { know: () => {}, pids: [] },
  keeper: { start: () => {}, conclude: () => undefined },
  maxLeaseMs: Number.POSITIVE_INFINITY,
};

export interface RunOptions {
  readonly custody: Custody | undefined;
  readonly signals: Pick<SignalDesk, 'relayTo'>;
  /**
   * Where it is not on a terminal. The leader of a session that opens a tty without O_NOCTTY hangs it up when it ends:
   * who does not have the last word about the lease starts none.
   */
  readonly session: 'new' | 'ours';
  /** From TERM to KILL. */
  readonly graceMs: number;
  readonly say: (text: string) => void;
}

/** How a command ended, and what ended it when it was not itself. `status`: its own, 128 + signal, 126 or 127. */
export type CommandEnd = { readonly status: number } & (
  | { readonly cause: 'itself' | 'stopped' | 'overtime' }
  /** `detail` says why. */
  | { readonly cause: 'not started'; readonly detail: string }
  | { readonly cause: 'trouble'; readonly trouble: Trouble }
);

interface CommandExit {
  readonly status: number;
  /** Why it could not start. */
  readonly detail?: string;
}

/**
 * Resolves once the command and, in custody, everything it started has ended.
 * When it throws, which is our bug, the command may live: the guard's business.
 */
export async function runCommand(line: CommandLine, options: RunOptions): Promise<CommandEnd> {
  const hasTerminal = isatty(0);
  const olderChildren = readChildPids(process.pid, 'first thread') ?? childPids(); // a shell has only one
  let child: ChildProcess;
  try {
    child = spawn(line.program, line.args, {
      env: { ...line.env, [RELAY_VARIABLE]: String(process.pid) },
      stdio: 'inherit',
      // On a terminal the command stays in our group: the terminal signals both, and job control works.
      detached: !hasTerminal && options.session === 'new',
    });
  } catch (error) {
    // Some refusals of the system are thrown (ETXTBSY, E2BIG), others come as events.
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return { ...notStarted(error), cause: 'not started' };
  }
  const run = new Run(child, options, hasTerminal, olderChildren);
  using _relay = options.signals.relayTo((signal) => run.relay(signal));
  return await run.finished();
}

class Run {
  readonly #child: ChildProcess;
  readonly #options: RunOptions;
  readonly #hasTerminal: boolean;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #hurry = new AbortController();
  /** What a shell had started before it became us (`server & exec sai-device …`) is not the command's. */
  readonly #olderChildren: readonly number[];
  #stoppedBy: NodeJS.Signals | undefined;
  #isOvertime = false;
  #trouble: Trouble | undefined;
  #hasExited = false;

  constructor(
    child: ChildProcess,
    options: RunOptions,
    hasTerminal: boolean,
    olderChildren: readonly number[],
  ) {
    this.#child = child;
    this.#olderChildren = olderChildren;
    this.#options = options;
    this.#hasTerminal = hasTerminal;
  }

  async finished(): Promise<CommandEnd> {
    const { custody } = this.#options;
    const exit = this.#exit();
    const self = this.#child.pid === undefined ? undefined : knownProcess(this.#child.pid);
    if (custody && self) {
      custody.guard.know([self]);
      this.#timers.push(setInterval(() => custody.guard.know(this.#strays()), CHECK_EVERY_MS));
      custody.keeper.start({
        tree: () => this.#tree(),
        onTrouble: (trouble) => this.#endForTrouble(trouble),
      });
      if (Number.isFinite(custody.maxLeaseMs)) {
        this.#timers.push(setTimeout(() => this.#endOvertime(), custody.maxLeaseMs));
      }
    }
    const end = await exit;
    for (const timer of this.#timers) clearTimeout(timer);
    if (custody) {
      custody.onEnd?.();
      this.#trouble ??= custody.keeper.conclude();
      await this.#endLeftovers();
      this.#tellKept(custody);
    }
    return this.#judge(end);
  }

  /** A signal that this process got. */
  relay(signal: NodeJS.Signals): void {
    if (this.#hasExited) {
      if (ENDING_SIGNALS.includes(signal)) this.#hurry.abort(); // told twice: leftovers get no more grace
      return;
    }
    // The terminal has sent these to the command too, as it does to its foreground.
    const isOfTerminal = signal === 'SIGINT' || signal === 'SIGQUIT';
    if (this.#hasTerminal && isOfTerminal && isInForeground()) return;
    // Of these only the command knows what they mean: what it started would die of one.
    if (signal === 'SIGUSR1' || signal === 'SIGUSR2') {
      this.#child.kill(signal);
      return;
    }
    if (ENDING_SIGNALS.includes(signal)) {
      this.#stoppedBy ??= signal;
      this.#killAfterGrace();
    }
    this.#signalTree(signal);
  }

  #exit(): Promise<CommandExit> {
    return new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(notStarted(error)));
      this.#child.once('exit', (code, signal) => {
        this.#hasExited = true;
        resolve({ status: signal ? exitStatusOfSignal(signal) : (code ?? EXIT_CANNOT_START) });
      });
    });
  }

  #judge(end: CommandExit): CommandEnd {
    const { status, detail } = end;
    if (detail !== undefined) return { status, detail, cause: 'not started' };
    if (this.#stoppedBy) return { status: exitStatusOfSignal(this.#stoppedBy), cause: 'stopped' };
    if (this.#trouble) return { status, cause: 'trouble', trouble: this.#trouble };
    if (this.#isOvertime) return { status, cause: 'overtime' };
    return { status, cause: 'itself' };
  }

  #endForTrouble(trouble: Trouble): void {
    this.#trouble = trouble;
    this.#signalTree(trouble.signal);
    this.#killAfterGrace();
  }

  #endOvertime(): void {
    this.#isOvertime = true;
    this.#signalTree('SIGTERM');
    this.#killAfterGrace();
  }

  #signalTree(signal: NodeJS.Signals): void {
    signalEach(withoutRelayed(this.#tree()), signal);
  }

  #killAfterGrace(): void {
    this.#timers.push(setTimeout(() => signalEach(this.#tree(), 'SIGKILL'), this.#options.graceMs));
  }

  async #endLeftovers(): Promise<void> {
    if (this.#hasSurelyNoStrays()) return;
    const mayKeep = (this.#options.custody?.daemons?.keep.length ?? 0) > 0;
    if (mayKeep && this.#leftovers().length > 0) await delay(NAMED_AFTER_MS);
    await endTree({
      scan: () => {
        const leftovers = this.#leftovers();
        this.#options.custody?.guard.know(leftovers); // we may be killed before they have ended
        return leftovers.length === 0 ? [] : this.#tree(); // the table is only read when there are any
      },
      graceMs: this.#options.graceMs,
      hurry: this.#hurry.signal,
      onForbidden: (pids) =>
        this.#options.say(
          `the device stays held until these processes of another user end: ${pids.join(', ')}`,
        ),
    });
  }

  /**
   * Whatever the command left is our child or descends from one. Where the kernel lists our children, and there are
   * none but those that we know, nobody is left who could start another: no pause is needed to see them. Twice, because
   * the list may miss one while another that stands before it ends. Source: proc(5), /proc/pid/task/tid/children.
   */
  #hasSurelyNoStrays(): boolean {
    const isEmpty = (of: 'all threads' | 'first thread'): boolean =>
      readChildPids(process.pid, of)?.every((pid) => this.#isNoStray(pid)) ?? false;
    return isEmpty('all threads') && isEmpty('first thread');
  }

  #isNoStray(pid: number): boolean {
    return (
      pid === this.#child.pid ||
      this.#options.custody?.guard.pids.includes(pid) === true ||
      this.#olderChildren.includes(pid)
    );
  }

  #tellKept({ daemons }: Custody): void {
    const kept = daemons ? this.#strays().map((each) => each.pid) : [];
    if (kept.length > 0) daemons?.onKept(kept);
  }

  /** Everything that the command started and that still lives, without the daemons that may. */
  #tree(): ReturnType<typeof livingTrees> {
    const command = this.#hasExited ? undefined : this.#child.pid;
    const strays = this.#options.custody ? this.#leftovers() : [];
    return livingTrees([...(command === undefined ? [] : [command]), ...strays.map((each) => each.pid)]);
  }

  #leftovers(): KnownProcess[] {
    const keep = this.#options.custody?.daemons?.keep ?? [];
    return this.#strays().filter((each) => !isKept(each.pid, keep));
  }

  /** Orphans of the command that became our children; the ended ones are taken out of the process table. */
  #strays(): KnownProcess[] {
    return childPids()
      .filter((pid) => !this.#isNoStray(pid))
      .filter((pid) => !(readProcess(pid)?.state === 'Z' && reap(pid)))
      .map((pid) => knownProcess(pid))
      .filter((each) => each !== undefined);
  }
}

function notStarted(error: unknown): Required<CommandExit> {
  const status = errnoCode(error) === 'ENOENT' ? EXIT_NOT_FOUND : EXIT_CANNOT_START;
  return { status, detail: reasonOf(error) };
}

function isInForeground(): boolean {
  const self = readProcess(process.pid);
  return self !== undefined && self.pgid === self.foregroundPgid;
}

function childPids(): number[] {
  return (
    readChildPids(process.pid) ??
    readProcessTable()
      .filter((each) => each.ppid === process.pid)
      .map((each) => each.pid)
  );
}
