/**
 * How fast sai-expect matches, starts and answers, beside other programs that wait for text on a tty.
 *
 *   node scripts/bench.mjs expect               engine, console, start, waiting and trip: some minutes
 *   node scripts/bench.mjs expect start trip    these alone
 *   node scripts/bench.mjs expect stream misses boards    1 GiB; 1000 cold starts; 8 boards at 300 kB/s for a minute
 *
 * Seconds are those from the start of the process to its end, so the start of an interpreter is part of them: 20 to 50 ms
 * of Node or Python, 0.2 s of labgrid. What each peer does is told in expect/peer.py and expect/tcl.exp; what people write
 * by default stands beside what they could have written. "reader" matches nothing: the pty gives no more than that.
 *
 * SAI_C_EXPECT names the C sai-expect, where there is one.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { Matcher, type Pattern } from '../src/expect/matcher.ts';
import { StreamWatch } from '../src/expect/stream-watch.ts';

export interface BenchPlace {
  /** The built commands. */
  readonly bin: string;
  /** An empty folder, removed afterwards. */
  readonly scratch: string;
  readonly print: (line: string) => void;
  readonly args: readonly string[];
}

const USUAL_PARTS = ['engine', 'console', 'start', 'waiting', 'trip'];
const ROUNDS = 5;
const MIB = 1024 * 1024;
const CONSOLE_BYTES = 10 * MIB;
const MARK = 'Completed: PASS';
const PYTHON = '/usr/bin/python3'; // Debian's, which has Debian's packages

/** What bench/expect/board.py tells. */
interface Cost {
  readonly status: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssMb: number;
  readonly sha256?: string;
  readonly quietCpuSeconds?: number;
}

type Board = (
  kind: string,
  sizeBytes: number,
  command: readonly string[],
  env?: NodeJS.ProcessEnv,
) => Promise<Cost>;

/** Called by scripts/bench.mjs. */
export async function bench({ bin, scratch, print, args }: BenchPlace): Promise<void> {
  const files = join(bin, '../bench/expect');
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, SAI_RUN_DIR: scratch };
  const board: Board = async (kind, sizeBytes, command, extra = {}) => {
    const line = [join(files, 'board.py'), kind, String(sizeBytes), ...command];
    const { stdout } = await run(PYTHON, line, { ...env, ...extra });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Cost;
  };
  const isWanted = (part: string): boolean => (args.length > 0 ? args : USUAL_PARTS).includes(part);
  tellLoad(print);
  if (isWanted('engine')) benchEngine(print);
  const sink = join(scratch, 'tty0');
  const proxy = spawn(PYTHON, [join(files, 'sink.py'), sink], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(proxy.stdout, 'data');
  try {
    const logged = { SAI_LOGPROXY_TTY0: sink };
    if (isWanted('console')) await benchConsole(board, files, logged, print);
    if (isWanted('start')) await benchStart(board, 50, env, print);
    if (isWanted('misses')) await benchStart(board, 1000, env, print);
    if (isWanted('waiting')) await benchWaiting(board, print);
    if (isWanted('trip')) await benchRoundTrip(board, print);
    if (isWanted('stream')) await benchLongStream(board, logged, print);
    if (isWanted('boards')) await benchManyBoards(board, scratch, print);
  } finally {
    proxy.kill();
  }
  tellLoad(print);
}

function tellLoad(print: (line: string) => void): void {
  print(`load ${loadavg()[0]?.toFixed(2)}; medians of ${ROUNDS}`);
}

/** By CPU time: in this process, nothing is waited for. */
function benchEngine(print: (line: string) => void): void {
  const line = '[    1.234567] usb 1-1: new high-speed USB device number 2 using xhci_hcd\r\n';
  const data = Buffer.from(line.repeat(Math.floor((32 * MIB) / line.length)));
  for (const count of [1, 10, 100]) {
    const patterns = Array.from({ length: count }, (_, index): Pattern => {
      return { kind: 'literal', bytes: Buffer.from(`usb ${index} failed with error ${7 * index}`) };
    });
    for (const chunkBytes of [4096, 64]) {
      const matcher = (): number => {
        const engine = new Matcher(patterns);
        return mbPerSecond(data, chunkBytes, (from, to) => engine.push(data, from, to));
      };
      const watch = (): number => {
        const engine = new StreamWatch({ pass: [], fail: patterns.slice(1), crash: [] });
        engine.expect(...patterns.slice(0, 1));
        return mbPerSecond(data, chunkBytes, (from, to) => engine.push(data.subarray(from, to)));
      };
      const [alone, armed] = [matcher, watch].map((measure) =>
        median(Array.from({ length: ROUNDS }, measure)),
      );
      const what = `${count} literals, ${chunkBytes} B chunks`;
      print(
        `engine   ${what.padEnd(28)} ${fixed(alone)} MB/s, as a step with the rest armed ${fixed(armed)} MB/s`,
      );
    }
  }
}

function mbPerSecond(data: Buffer, chunkBytes: number, push: (from: number, to: number) => void): number {
  const before = process.cpuUsage();
  for (let at = 0; at < data.length; at += chunkBytes) push(at, Math.min(data.length, at + chunkBytes));
  const { user, system } = process.cpuUsage(before);
  return data.length / (user + system);
}

async function benchConsole(
  board: Board,
  files: string,
  logged: NodeJS.ProcessEnv,
  print: (line: string) => void,
): Promise<void> {
  const peers = await installedPeers(files, print);
  for (const count of [1, 4, 20]) {
    const others = Array.from({ length: count - 1 }, (_, index) => `usb ${index} failed`);
    const armed = others.flatMap((text) => ['--fail', text]);
    const ours = ['sai-expect', '--tty', '{TTY}', '--send', 'go', '--expect', MARK, ...armed];
    const commands: [string, () => Promise<Cost>][] = [
      ['sai-expect', () => board('flood', CONSOLE_BYTES, ours)],
      ['sai-expect, logged', () => board('flood', CONSOLE_BYTES, ours, logged)],
      ...peers.map(({ name, command, kind }): [string, () => Promise<Cost>] => [
        name,
        () => board(kind, CONSOLE_BYTES, [...command, ...(kind === 'late' ? [] : [MARK, ...others])]),
      ]),
    ];
    const rows = new Map<string, Cost[]>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, measure] of commands) {
        const before = rows.get(name) ?? [];
        // What takes this long is not worth five rounds.
        if ((before[0]?.seconds ?? 0) < 10) rows.set(name, [...before, await measure()]);
      }
    }
    const base = median((rows.get('sai-expect, logged') ?? []).map(({ seconds }) => seconds));
    for (const [name, costs] of rows) {
      const seconds = median(costs.map((cost) => cost.seconds));
      const cpu = median(costs.map(({ cpuSeconds }) => cpuSeconds));
      const status = costs.some((cost) => cost.status !== 0) ? '  NOT FOUND, stopped' : '';
      const what = `${count} patterns, ${name}`;
      print(
        `10 MiB   ${what.padEnd(42)} ${seconds.toFixed(2)} s, ${cpu.toFixed(2)} s CPU, ${(seconds / base).toFixed(1)} × ours logged${status}`,
      );
    }
  }
}

interface Peer {
  readonly name: string;
  readonly command: readonly string[];
  readonly kind: 'flood' | 'late';
}

async function installedPeers(files: string, print: (line: string) => void): Promise<Peer[]> {
  const python = (name: string, peer: string, module: string): Peer & { check: string[] } => ({
    name,
    command: [PYTHON, join(files, 'peer.py'), peer, '{TTY}'],
    kind: 'flood',
    check: [PYTHON, '-c', `import ${module}`],
  });
  const tcl = ['expect', '-f', join(files, 'tcl.exp'), '{TTY}'];
  const known: (Peer & { check: string[] })[] = [
    python('reader, no matching', 'reader', 'os'),
    { name: 'Tcl expect -ex', command: tcl, kind: 'flood', check: ['expect', '-v'] },
    python('pyserial, loop with in', 'pyserial', 'serial'),
    python('pexpect expect()', 'pexpect', 'pexpect'),
    python('pexpect expect(), window 512', 'pexpect-windowed', 'pexpect'),
    python('pexpect expect_exact()', 'pexpect-exact', 'pexpect'),
    python('labgrid expect()', 'labgrid', 'labgrid'),
  ];
  const c = process.env['SAI_C_EXPECT'];
  if (c) known.push({ name: 'C sai-expect', command: [c], kind: 'late', check: ['test', '-x', c] });
  else print('missing: the C sai-expect; SAI_C_EXPECT is not set');
  const installed: Peer[] = [];
  for (const { check, ...peer } of known) {
    const { status } = await run(check[0] ?? '', check.slice(1), process.env);
    if (status === 0) installed.push(peer);
    else print(`missing: ${peer.name}; npm run setup -- --heavy installs it`);
  }
  return installed;
}

/** With the text already there: a start, an open, a match, an end. */
async function benchStart(
  board: Board,
  times: number,
  env: NodeJS.ProcessEnv,
  print: (line: string) => void,
): Promise<void> {
  for (const certificates of ['with', 'without'] as const) {
    const extra = { NODE_EXTRA_CA_CERTS: certificates === 'with' ? env['NODE_EXTRA_CA_CERTS'] : undefined };
    if (certificates === 'with' && !extra.NODE_EXTRA_CA_CERTS) continue;
    const ours: Cost[] = [];
    const bare: Cost[] = [];
    for (let time = 0; time < times; time++) {
      ours.push(await board('ready', 0, ['sai-expect', '--tty', '{TTY}', '--expect', MARK], extra));
      bare.push(await board('silent', 0, ['node', '-e', '0'], extra));
    }
    const [ms, bareMs] = [ours, bare].map((costs) => 1000 * median(costs.map(({ seconds }) => seconds)));
    const [cpu, bareCpu] = [ours, bare].map(
      (costs) => 1000 * median(costs.map(({ cpuSeconds }) => cpuSeconds)),
    );
    const misses = ours.filter(({ status }) => status !== 0).length;
    print(
      `start    ${certificates} NODE_EXTRA_CA_CERTS: ${fixed(ms)} ms (${fixed(cpu)} ms CPU), bare Node ${fixed(bareMs)} ms (${fixed(bareCpu)} ms CPU), ` +
        `${((ms ?? 0) / (bareMs ?? 1)).toFixed(2)} ×; ${misses} misses in ${times}`,
    );
  }
}

/** Beyond start-up, which is over after a second: what wakes the process by itself, as V8 does for its own ends. */
async function benchWaiting(board: Board, print: (line: string) => void): Promise<void> {
  const command = ['sai-expect', '--tty', '{TTY}', '--expect', MARK, '--timeout', 'never'];
  const quiet: number[] = [];
  for (let round = 0; round < 3; round++) {
    quiet.push((await board('quiet', 0, command)).quietCpuSeconds ?? Number.NaN);
  }
  print(`waiting  10 s on a silent board: ${(1000 * median(quiet)).toFixed(1)} ms CPU beyond start-up`);
}

async function benchRoundTrip(board: Board, print: (line: string) => void): Promise<void> {
  const trips = async (count: number): Promise<number> => {
    const steps = Array.from({ length: count }, (_, index) => [
      '--line',
      `q${index}`,
      '--expect',
      `q${index}\\n`,
    ]);
    const command = ['sai-expect', '--tty', '{TTY}', ...steps.flat()];
    const costs: Cost[] = [];
    for (let round = 0; round < ROUNDS; round++) costs.push(await board('echo', 0, command));
    return median(costs.map(({ seconds }) => seconds));
  };
  const few = await trips(1);
  print(`trip     a line and its echo: ${(((await trips(501)) - few) * 2).toFixed(2)} ms, of 500 in a row`);
}

async function benchLongStream(
  board: Board,
  logged: NodeJS.ProcessEnv,
  print: (line: string) => void,
): Promise<void> {
  const bare = await board('silent', 0, ['node', '-e', '0'], { NODE_EXTRA_CA_CERTS: undefined });
  for (const mib of [10, 100, 1024]) {
    const command = ['sai-expect', '--tty', '{TTY}', '--send', 'go', '--expect', MARK, '--timeout', '10m'];
    const cost = await board('flood', mib * MIB, command, { ...logged, BOARD_LIMIT: '600' });
    const rate = (mib * MIB) / cost.seconds / 1e6;
    print(
      `stream   ${mib} MiB: ${cost.seconds.toFixed(2)} s, ${rate.toFixed(0)} MB/s, ${cost.rssMb.toFixed(0)} MB, bare Node ${bare.rssMb.toFixed(0)} MB; status ${cost.status}`,
    );
  }
}

async function benchManyBoards(board: Board, scratch: string, print: (line: string) => void): Promise<void> {
  const one = [
    'sai-expect',
    '--tty',
    '"$1"',
    '--send',
    'go',
    '--expect',
    `'${MARK}\\r\\n'`,
    '--echo',
    '--timeout',
    '5m',
  ];
  const command = ['sh', '-c', `${one.join(' ')} | sha256sum > "$2"`, '-', '{TTY}'];
  const eight = Array.from({ length: 8 }, (_, index) => index);
  const outcomes = await Promise.all(
    eight.map(async (index) => {
      const file = join(scratch, `sum-${index}`);
      const cost = await board('paced', 60 * 300_000, [...command, file], { BOARD_LIMIT: '300' });
      return readFileSync(file, 'utf8').slice(0, 64) === cost.sha256;
    }),
  );
  print(
    `boards   8 at 300 kB/s for a minute: ${outcomes.filter(Boolean).length} of 8 with the checksum of what was said`,
  );
}

async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly status: number | null; readonly stdout: string }> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  return await new Promise((resolve) => {
    child.once('error', () => resolve({ status: null, stdout }));
    child.once('close', (status) => resolve({ status, stdout }));
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function fixed(value: number | undefined): string {
  return (value ?? Number.NaN).toFixed(0);
}
