/** What stands beside a lease and looks at it, or gets in its way. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readFlocks } from '../../src/base/proc-locks.ts';
import { readProcess } from '../../src/base/process-table.ts';
import { until } from '../until.ts';
import { type Bench, guardsOf, type Started } from './bench.ts';

/** As the kernel says, without trying. */
export const isLocked = (path: string): boolean => lockerOf(path) !== undefined;

/** Pid of who has locked it. */
export const lockerOf = (path: string): number | undefined => readFlocks().holderOf(statSync(path));

/** Names of the lease files that are locked. */
export function heldPlaces({ runDir }: Bench): string[] {
  return readdirSync(runDir).filter((name) => name.endsWith('.lease') && isLocked(join(runDir, name)));
}

/** A zombie has ended too. */
export const isRunning = (pid: number): boolean => !['Z', undefined].includes(readProcess(pid)?.state);

/** The guard of a lease, once those that it has relieved have ended. */
export async function guardOf(holder: Started): Promise<number> {
  let guards: number[] = [];
  await until(() => {
    guards = guardsOf(holder.pid);
    return guards.length === 1;
  }, 'the lease has one guard');
  return guards[0] ?? 0;
}

export function findingsIn(path: string): { [key: string]: unknown }[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as { [key: string]: unknown });
}

/** A program that knows nothing of us: it locks a tty as soon as it can, and keeps it until killed. */
export class Foreigner implements AsyncDisposable {
  readonly pid: number;
  /** Resolves once it has the lock. */
  readonly hasLock: Promise<unknown>;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(ttyPath: string) {
    const script = 'echo locked; exec sleep 1000';
    const child = spawn('flock', ['-x', ttyPath, 'sh', '-c', script], { detached: true });
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.hasLock = once(child.stdout, 'data');
    this.#ended = once(child, 'close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // All of its group: flock and what it runs.
    if (this.#child.exitCode === null && this.#child.signalCode === null) process.kill(-this.pid, 'SIGKILL');
    await this.#ended;
  }
}

/** Makes a script wait until the test says so. */
export class Go {
  /** For `sh`. */
  readonly wait: string;
  readonly #path: string;

  constructor(bench: Bench, name = 'go') {
    this.#path = bench.file(name);
    this.wait = `while ! [ -e ${this.#path} ]; do sleep 0.02; done`;
  }

  say(): void {
    writeFileSync(this.#path, '');
  }
}
