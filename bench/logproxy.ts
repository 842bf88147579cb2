/** How fast sai-logproxy takes raw bytes, beside socat, which only copies them into files. */

import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';

export interface BenchPlace {
  /** The built commands. */
  readonly bin: string;
  /** An empty folder, removed afterwards. */
  readonly scratch: string;
  readonly print: (line: string) => void;
}

const ROUNDS = 5;
const TOTAL_MB = 256;

interface Cost {
  readonly seconds: number;
  /** Of the whole tree, the writers included, which are the same for both. */
  readonly cpuSeconds: number;
}

const SERVERS: Record<string, (writers: number) => string> = {
  socat: (writers) =>
    [
      ...each(
        writers,
        (index) => `socat -u UNIX-LISTEN:s${index} OPEN:f${index},creat & servers="$servers $!"`,
      ),
      ...each(writers, (index) => `while ! [ -S s${index} ]; do sleep 0.001; done`),
      ...each(
        writers,
        (index) => `socat -u -b 65536 OPEN:blob UNIX-CONNECT:s${index} & writers="$writers $!"`,
      ),
      'wait $writers $servers',
    ].join('\n'),
  'sai-logproxy': (writers) => {
    const write = each(
      writers,
      (index) => `socat -u -b 65536 OPEN:blob UNIX-CONNECT:$SAI_LOGPROXY_TTY${index} &`,
    );
    return `sai-logproxy --quiet --dir run sh -c '${write.join(' ')} wait'`;
  },
};

/** Called by scripts/bench.mjs. */
export async function bench({ bin, scratch, print }: BenchPlace): Promise<void> {
  const env = { PATH: `${bin}:${process.env['PATH']}`, XDG_RUNTIME_DIR: scratch };
  const run = (script: string): Cost => measure(script, scratch, env);
  print(`load ${loadavg()[0]?.toFixed(2)}; medians of ${ROUNDS}; ${TOTAL_MB} MB in all each time`);
  for (const writers of [1, 8]) {
    spawnSync('sh', [
      '-c',
      `head -c ${(TOTAL_MB / writers) * 1_000_000} /dev/urandom > ${join(scratch, 'blob')}`,
    ]);
    const costs = new Map<string, Cost[]>(Object.keys(SERVERS).map((name) => [name, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, script] of Object.entries(SERVERS)) {
        costs.get(name)?.push(run(script(writers)));
        for (const left of ['run', ...each(writers, (index) => `f${index}`)])
          rmSync(join(scratch, left), { recursive: true, force: true });
      }
    }
    const rows = [...costs].map(([name, all]) => ({
      name,
      mbPerSecond: TOTAL_MB / median(all.map((cost) => cost.seconds)),
      cpuMsPerMb: (1000 * median(all.map((cost) => cost.cpuSeconds))) / TOTAL_MB,
    }));
    for (const { name, mbPerSecond, cpuMsPerMb } of rows) {
      print(
        `${writers} writers  ${name.padEnd(12)}  ${mbPerSecond.toFixed(0).padStart(5)} MB/s  ${cpuMsPerMb.toFixed(2)} ms CPU/MB`,
      );
    }
    const [socat, ours] = rows;
    if (socat && ours)
      print(
        `${writers} writers  ratio         ${(ours.mbPerSecond / socat.mbPerSecond).toFixed(2)} × the speed, ${(ours.cpuMsPerMb / socat.cpuMsPerMb).toFixed(2)} × the CPU`,
      );
  }
  print(`load ${loadavg()[0]?.toFixed(2)}`);
}

function each(count: number, text: (index: number) => string): string[] {
  return Array.from({ length: count }, (_, index) => text(index));
}

function measure(script: string, cwd: string, env: NodeJS.ProcessEnv): Cost {
  const timed = `TIMEFORMAT='%R %U %S'; time {\n${script}\n} 2> /dev/null`;
  const { status, stderr } = spawnSync('bash', ['--norc', '-c', timed], {
    cwd,
    env,
    encoding: 'utf8',
  });
  const [seconds, user, system] = stderr.trim().split(' ').map(Number);
  if (status !== 0 || seconds === undefined) throw new Error(`cannot measure: ${status} ${stderr}`);
  return { seconds, cpuSeconds: (user ?? 0) + (system ?? 0) };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
