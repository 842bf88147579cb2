/** The built `sai-expect`, as a process in a folder of its own. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { readFindings } from '../../src/findings/findings-file.ts';
import type { Finding } from '../../src/wire/finding.ts';
import type { LeasedDevice } from '../../src/wire/lease.ts';
import { type Chunking, DutOnPty } from './dut-on-pty.ts';

const COMMAND = fileURLToPath(new URL('../../bin/sai-expect', import.meta.url));

/** What is left of a command that has ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  /** Lines. */
  readonly stderr: readonly string[];
}

export interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
}

/** Goes with the test that runs, at whose end no command may have left anything behind. */
export function workplaceOfTest(): Workplace {
  const place = new Workplace();
  onTestFinished(async () => {
    try {
      expect(place.leftovers()).toEqual([]);
    } finally {
      await place[Symbol.asyncDispose]();
    }
  });
  return place;
}

/** A folder for one test: findings, run folder, and a lease's folder when asked for. */
export class Workplace implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'sx-'));
  readonly runDir = join(this.folder, 'run');
  readonly findingsFile = join(this.folder, 'findings');
  readonly #children: ChildProcessWithoutNullStreams[] = [];
  readonly #duts: DutOnPty[] = [];
  #env: Record<string, string> = {};

  constructor() {
    mkdirSync(this.runDir);
  }

  get findings(): Finding[] {
    return readFindings(this.findingsFile);
  }

  /** A board that goes with the place. */
  newDut(chunking?: Chunking): DutOnPty {
    const dut = new DutOnPty(chunking);
    this.#duts.push(dut);
    return dut;
  }

  /** From now on, commands run as under a lease of these ttys. */
  lease(...ttys: string[]): string {
    return this.leaseOf(ttys, {});
  }

  /** The same of a device that says more. */
  leaseOf(ttys: readonly string[], device: Partial<LeasedDevice>): string {
    const folder = join(this.folder, 'lease');
    mkdirSync(folder, { recursive: true });
    const record = {
      version: 2,
      folder,
      devices: [
        {
          name: 'uno-1',
          type: 'uno',
          answersTo: ['uno'],
          ttys: ttys.map((path, index) => ({
            path,
            baudRate: 57_600,
            ...(index === 0 ? { name: 'shell' } : {}),
          })),
          ...device,
        },
      ],
      holderPid: process.pid,
      holderStartTicks: 1,
      user: 'tester',
      command: 'ctest',
      sinceMs: 1,
      fence: 1,
    };
    writeFileSync(join(folder, 'lease.json'), JSON.stringify(record));
    this.#env = { SAI_DEVICE_LEASE: folder, SAI_DEVICE_NAME: 'uno-1' };
    ttys.forEach((tty, index) => {
      this.#env[`SAI_DEVICE_TTY${index}`] = tty;
    });
    return folder;
  }

  set(name: string, value: string): void {
    this.#env[name] = value;
  }

  start(args: readonly string[], wrapper: readonly string[] = []): Started {
    const line = [...wrapper, process.execPath, COMMAND, ...args];
    const child = spawn(line[0] ?? '', line.slice(1), {
      cwd: this.folder,
      env: {
        PATH: process.env['PATH'],
        SAI_FINDINGS: this.findingsFile,
        SAI_RUN_DIR: this.runDir,
        ...this.#env,
      },
    });
    this.#children.push(child);
    return { child, ended: whenEnded(child) };
  }

  run(...args: string[]): Promise<Ended> {
    return this.start(args).ended;
  }

  /** Removes what a killed command has left behind. */
  clear(): void {
    rmSync(this.runDir, { recursive: true });
    mkdirSync(this.runDir);
  }

  /** What commands have left behind, besides findings and the lease. */
  leftovers(): string[] {
    return readdirSync(this.runDir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const dut of this.#duts) await dut[Symbol.asyncDispose]();
    for (const child of this.#children) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function whenEnded(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      const text = Buffer.concat(stderr).toString('utf8');
      resolve({
        status,
        signal,
        stdout: Buffer.concat(stdout).toString('latin1'),
        stderr: text.split('\n').filter((line) => line !== ''),
      });
    });
  });
}

/** Resolves once the command has said `text` on stderr. */
export function said(started: Started, text: string): Promise<void> {
  let all = '';
  return new Promise((resolve, reject) => {
    started.child.stderr.on('data', (chunk: Buffer) => {
      all += chunk.toString('utf8');
      if (all.includes(text)) resolve();
    });
    started.child.once('close', () => reject(new Error(`ended without saying ${text}: ${all}`)));
  });
}
