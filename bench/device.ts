/**
 * What sai-device costs: its start beside flock(1) and a bare Node.js, the time from the end of one command to the start
 * of the next, and what waiting takes. Nothing is subtracted: each command stamps its own start and end by date(1), which
 * needs a millisecond or two itself.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { BenchPlace } from './logproxy.ts';

const STARTS = 15;
const WAITERS = [1, 10, 25] as const;
const IDLE_WAITERS = 25;

/** Node.js tidies its heap once, some eight seconds after a start. */
const SETTLE_MS = 12_000;
const IDLE_MS = 10_000;

const COMMAND_ROUNDS = 300;
const LIBRARY_ROUNDS = 10_000;

/** Long enough for the guard of a lease to be up, as with any real command. */
const STAMP_TWICE = 'date +%s%N >> log; sleep 0.2; exec date +%s%N >> log';

/** Holds until it is told to stop. */
const HOLD_THEN_STAMP = 'echo up; read stop; exec date +%s%N >> log';

/** Called by scripts/bench.mjs. */
export async function bench(place: BenchPlace): Promise<void> {
  const rig = new Rig(place);
  const { print } = place;
  try {
    for (const part of [starts, handOvers, foreignHandOver, idling, commandRounds, libraryRounds]) {
      print(`\nload ${loadavg()[0]?.toFixed(2)}`);
      await part(rig, print);
    }
  } finally {
    rig.stop();
  }
}

type Print = BenchPlace['print'];

/** One device that is a file, in a folder of its own. */
class Rig {
  readonly folder: string;
  readonly runDir: string;
  readonly library: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #saiDevice: string;
  readonly #children = new Set<ChildProcess>();

  constructor({ bin, scratch }: BenchPlace) {
    this.folder = join(scratch, 'rig');
    this.runDir = join(this.folder, 'run');
    this.library = join(bin, '../dist/device-library.mjs');
    this.#saiDevice = join(bin, 'sai-device');
    mkdirSync(this.folder);
    writeFileSync(join(this.folder, 'board'), '');
    const config = join(this.folder, 'conf');
    const board = { name: 'uno1', type: 'uno', locks: [join(this.folder, 'board')] };
    writeFileSync(config, JSON.stringify({ devices: [board] }));
    this.env = { PATH: process.env['PATH'], SAI_DEVICES_CONF: config, SAI_RUN_DIR: this.runDir };
  }

  saiDevice(...args: string[]): string[] {
    return [this.#saiDevice, ...args];
  }

  start([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv = this.env): Running {
    const child = spawn(program, args, {
      env,
      cwd: this.folder,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return new Running(child);
  }

  /** Milliseconds that it takes from start to end. */
  async time(command: readonly string[], env = this.env): Promise<number> {
    const startMs = performance.now();
    const { status } = await this.start(command, env).end();
    if (status !== 0) throw new Error(`${command.join(' ')}: expected status 0, got ${status}`);
    return performance.now() - startMs;
  }

  /** What the commands wrote since the last time, in milliseconds since the epoch. */
  takeStamps(): number[] {
    const log = join(this.folder, 'log');
    const stamps = readFileSync(log, 'utf8').trim().split('\n');
    rmSync(log);
    return stamps.map((each) => Number(BigInt(each) / 1000n) / 1000);
  }

  leftBehind(): string[] {
    return ['leases', 'queue'].flatMap((name) => readdirSync(join(this.runDir, name)));
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGTERM');
  }
}

class Running {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  #stderr = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#closed = once(child, 'close');
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves once it has written something, to stdout (a holder) or stderr (a waiter). */
  async speaks(): Promise<void> {
    const { stdout, stderr } = this.#child;
    if (this.#stderr !== '' || !stdout || !stderr) return;
    await Promise.race([once(stdout, 'data'), once(stderr, 'data')]);
  }

  tell(): void {
    this.#child.stdin?.write('stop\n');
  }

  kill(): void {
    this.#child.kill('SIGTERM');
  }

  async end(): Promise<{ readonly status: number | null }> {
    this.#child.stdout?.resume();
    const [status] = (await this.#closed) as [number | null];
    return { status };
  }
}

async function starts(rig: Rig, print: Print): Promise<void> {
  const { NODE_EXTRA_CA_CERTS: certificates } = process.env;
  await startsIn(rig, rig.env, '', print);
  // Node.js 20 reads them at every start; sai-device starts without, and its command has them again.
  if (certificates) {
    await startsIn(
      rig,
      { ...rig.env, NODE_EXTRA_CA_CERTS: certificates },
      ', NODE_EXTRA_CA_CERTS set',
      print,
    );
  }
}

async function startsIn(rig: Rig, env: NodeJS.ProcessEnv, where: string, print: Print): Promise<void> {
  const stamp = ['sh', '-c', 'exec date +%s%N >> log'];
  const board = join(rig.folder, 'board');
  const { SAI_C_DEVICE: original } = process.env;
  const rivals: Record<string, readonly string[]> = {
    'node -e 0': ['node', '-e', '0'],
    'flock -n FILE': ['flock', '-n', board],
    'sai-device uno': rig.saiDevice('uno'),
    ...(original === undefined ? {} : { "Sai's own": [original, 'uno'] }),
  };
  const totals = new Samples();
  const firsts = new Samples();
  for (let round = 0; round < STARTS; round++) {
    for (const [name, command] of Object.entries(rivals)) {
      if (name.startsWith('node')) {
        totals.add(name, await rig.time(command, env));
        continue;
      }
      totals.add(name, await rig.time([...command, 'true'], env));
      const startMs = performance.timeOrigin + performance.now();
      await rig.time([...command, ...stamp], env);
      firsts.add(name, (rig.takeStamps()[0] ?? Number.NaN) - startMs);
    }
  }
  totals.print(print, `in all, of a command that does nothing${where}`);
  firsts.print(print, `until the command has stamped its start${where}`);
  const ratio = firsts.median('sai-device uno') / totals.median('node -e 0');
  print(`start to command: ${ratio.toFixed(2)} × a bare Node.js in the same environment`);
  if (original === undefined) print("Sai's own is measured as well when $SAI_C_DEVICE names it");
}

async function handOvers(rig: Rig, print: Print): Promise<void> {
  const samples = new Samples();
  const board = join(rig.folder, 'board');
  const rivals: Record<string, (...command: string[]) => string[]> = {
    flock: (...command) => ['flock', board, ...command],
    'sai-device': (...command) => rig.saiDevice('uno', ...command),
  };
  for (const count of WAITERS) {
    for (let round = 0; round < Math.max(1, 7 / count); round++) {
      for (const [name, locked] of Object.entries(rivals)) {
        for (const gap of await queueUp(rig, locked, count)) samples.add(`${name}, ${count} waiting`, gap);
      }
    }
  }
  samples.print(print, 'from the end of a command to the start of the next');
}

/** The gaps between the commands of a holder and of `count` waiters. */
async function queueUp(
  rig: Rig,
  locked: (...command: string[]) => string[],
  count: number,
): Promise<number[]> {
  const holder = rig.start(locked('sh', '-c', HOLD_THEN_STAMP));
  await holder.speaks();
  const waiters = [];
  for (let index = 0; index < count; index++) {
    const waiter = rig.start(locked('sh', '-c', STAMP_TWICE));
    waiters.push(waiter);
    await Promise.race([waiter.speaks(), delay(100)]); // flock(1) waits without a word
  }
  holder.tell();
  await Promise.all([holder, ...waiters].map((each) => each.end()));
  const stamps = rig.takeStamps();
  return waiters.map((_each, index) => (stamps[2 * index + 1] ?? Number.NaN) - (stamps[2 * index] ?? 0));
}

async function foreignHandOver(rig: Rig, print: Print): Promise<void> {
  const samples = new Samples();
  for (let round = 0; round < 7; round++) {
    const foreigner = rig.start(['flock', join(rig.folder, 'board'), 'sh', '-c', HOLD_THEN_STAMP]);
    await foreigner.speaks();
    const waiter = rig.start(rig.saiDevice('uno', 'sh', '-c', 'exec date +%s%N >> log'));
    await waiter.speaks();
    await delay(20 * round); // anywhere between two looks
    foreigner.tell();
    await Promise.all([foreigner.end(), waiter.end()]);
    const [released = 0, taken = Number.NaN] = rig.takeStamps();
    samples.add('sai-device', taken - released);
  }
  samples.print(print, 'from the end of a flock(1) to the start of a command that waited');
}

async function idling(rig: Rig, print: Print): Promise<void> {
  const holder = rig.start(rig.saiDevice('uno', 'sh', '-c', HOLD_THEN_STAMP));
  await holder.speaks();
  const bare = rig.start(['node', '-e', 'setInterval(() => {}, 1e6)']);
  const waiters: Running[] = [];
  for (let index = 0; index < IDLE_WAITERS; index++) {
    const waiter = rig.start(rig.saiDevice('uno', 'true'));
    await waiter.speaks();
    waiters.push(waiter);
  }
  const guards = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === holder.pid && commandLine(pid).includes('device-guard'));
  const all = [...waiters.map(({ pid }) => pid), ...guards];
  await delay(SETTLE_MS);
  const before = all.map((pid) => cpuMs(pid));
  await delay(IDLE_MS);
  const usedMs = all.reduce((sum, pid, index) => sum + cpuMs(pid) - (before[index] ?? 0), 0);
  const percent = ((100 * usedMs) / IDLE_MS).toFixed(1);
  print(`${IDLE_WAITERS} waiters and a guard for ${IDLE_MS / 1000} s: ${percent} % of a core in all`);
  const bareMb = memoryMb(bare.pid);
  const each = waiters.map(({ pid }) => memoryMb(pid));
  for (const kind of ['Rss', 'Pss'] as const) {
    const middle = median(each.map((memory) => memory[kind]));
    const most = Math.max(...each.map((memory) => memory[kind]));
    print(
      `${kind} of a waiter: median ${middle.toFixed(1)} MB, most ${most.toFixed(1)} MB; bare node ${bareMb[kind].toFixed(1)} MB`,
    );
  }
  for (const waiter of [...waiters, bare]) waiter.kill();
  holder.tell();
  await Promise.all([holder, bare, ...waiters].map((running) => running.end()));
  rig.takeStamps();
}

async function commandRounds(rig: Rig, print: Print): Promise<void> {
  const startMs = performance.now();
  for (let round = 0; round < COMMAND_ROUNDS; round++) await rig.time(rig.saiDevice('uno', 'true'));
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  const left = rig.leftBehind();
  print(
    `${COMMAND_ROUNDS} commands, one after the other: ${seconds} s; left behind: ${left.join(', ') || 'nothing'}`,
  );
}

async function libraryRounds(rig: Rig, print: Print): Promise<void> {
  const { acquire } = (await import(
    pathToFileURL(rig.library).href
  )) as typeof import('../src/device/library.ts');
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const startMs = performance.now();
  for (let round = 0; round < LIBRARY_ROUNDS; round++) {
    const lease = await acquire({ type: 'uno', waitMs: 0 }, { env: rig.env });
    await lease.release();
  }
  const eachMs = (performance.now() - startMs) / LIBRARY_ROUNDS;
  const left = rig.leftBehind().join(', ') || 'nothing';
  print(
    `${LIBRARY_ROUNDS} leases through the library: ${eachMs.toFixed(2)} ms each; left behind: ${left}; ${descriptors() - before} descriptors more`,
  );
}

/** Named rows of one table. */
class Samples {
  readonly #rows = new Map<string, number[]>();

  add(name: string, ms: number): void {
    this.#rows.set(name, [...(this.#rows.get(name) ?? []), ms]);
  }

  median(name: string): number {
    return median(this.#rows.get(name) ?? []);
  }

  print(print: Print, what: string): void {
    print(what);
    for (const [name, all] of this.#rows) {
      const figures = [median(all), Math.min(...all), Math.max(...all)].map((ms) =>
        ms.toFixed(1).padStart(7),
      );
      print(
        `  ${name.padEnd(24)} median ${figures[0]} ms, least ${figures[1]}, most ${figures[2]}  (${all.length})`,
      );
    }
  }
}

/** User and system time of all threads. Source: proc(5), /proc/pid/stat, in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

function memoryMb(pid: number): Record<'Rss' | 'Pss', number> {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const mb = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024;
  return { Rss: mb('Rss'), Pss: mb('Pss') };
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return 0; // ended meanwhile
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
