/** What sai-jig adds between a request and the line, and how late its steps are, beside the same by bare Node. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { benchOnKernel } from './jig/kernel.ts';

export interface BenchPlace {
  /** The built commands. */
  readonly bin: string;
  /** An empty folder, removed afterwards. */
  readonly scratch: string;
  readonly print: (line: string) => void;
  /** `kernel`: on the lines of a kernel, in an emulated machine; then `loaded` or `counted`. */
  readonly args: readonly string[];
}

const ROUNDS = 5;
const REQUESTS = 300;
const STEPS = 300;
const STEP_MS = 10;

/** The same two things to ask for, without anything that makes a jig of it. */
const BARE = `
const { createServer } = require('node:http');
const chip = require('node:net').connect(process.argv[1]);
chip.resume();
let id = 0;
const set = (level) => chip.write(JSON.stringify({ op: 'set', id: ++id, levels: { reset: level } }) + '\\n');
const server = createServer((request, response) => {
  if (request.url === '/dut/pulse') { set(1); set(0); return response.end('{}\\n'); }
  let left = ${STEPS};
  const step = () => {
    if (left === 0) return response.end('{}\\n');
    set(left-- % 2);
    setTimeout(step, ${STEP_MS});
  };
  step();
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
`;

/** Called by scripts/bench.mjs. */
export async function bench({ bin, scratch, print, args }: BenchPlace): Promise<void> {
  if (args.includes('kernel')) return await benchOnKernel({ bin, print, args });
  const path = join(scratch, 'dut.chip');
  const chip = await StampingChip.serve(path);
  const config = join(scratch, 'jig.json');
  writeFileSync(config, JSON.stringify(jigConfig(path)));
  const servers: Record<string, () => Promise<Served>> = {
    'bare Node': () => serve(process.execPath, ['-e', BARE, path]),
    'sai-jig': () => serve(join(bin, 'sai-jig'), ['--quiet', '--json', '--config', config]),
  };
  print(`load ${loadavg()[0]?.toFixed(2)}; medians of ${ROUNDS} rounds`);
  const rows = new Map<string, Figures[]>(Object.keys(servers).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, start] of Object.entries(servers)) {
      const server = await start();
      rows.get(name)?.push({ ...(await edges(server, chip)), ...(await steps(server, chip)) });
      server.child.kill('SIGTERM');
      await once(server.child, 'exit');
    }
  }
  for (const [name, all] of rows) {
    const of = (key: keyof Figures): string => median(all.map((figures) => figures[key])).toFixed(2);
    print(
      `${name.padEnd(9)}  request to edge ${of('edgeMs')} ms, 99 % ${of('worstEdgeMs')} ms; ` +
        `over ${STEPS} steps of ${STEP_MS} ms: late ${of('lateMs')} ms, at most ${of('latestMs')} ms, drift ${of('driftMs')} ms`,
    );
  }
  const [bare = [], ours = []] = rows.values();
  const ratio = (key: keyof Figures): string =>
    (median(ours.map((each) => each[key])) / median(bare.map((each) => each[key]))).toFixed(2);
  print(`ratio      request to edge ${ratio('edgeMs')} ×, drift ${ratio('driftMs')} ×`);
  chip.close();
}

interface Figures {
  readonly edgeMs: number;
  readonly worstEdgeMs: number;
  readonly lateMs: number;
  readonly latestMs: number;
  readonly driftMs: number;
}

interface Served {
  readonly child: ChildProcess;
  readonly port: number;
}

async function serve(command: string, args: readonly string[]): Promise<Served> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, port: (JSON.parse(line) as { port: number }).port };
}

async function edges({ port }: Served, chip: StampingChip): Promise<Pick<Figures, 'edgeMs' | 'worstEdgeMs'>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const delays: number[] = [];
  for (let request = 0; request < REQUESTS; request++) {
    chip.stamps.length = 0;
    const sentMs = nowMs();
    await fetchAll(port, '/dut/pulse', agent);
    // Bare Node answers without waiting for the chip.
    while (chip.stamps.length === 0) await new Promise((resolve) => setImmediate(resolve));
    delays.push((chip.stamps[0] ?? 0) - sentMs);
  }
  agent.destroy();
  delays.sort((a, b) => a - b);
  return { edgeMs: median(delays), worstEdgeMs: delays[Math.floor(delays.length * 0.99)] ?? 0 };
}

async function steps({ port }: Served, chip: StampingChip): Promise<Omit<Figures, 'edgeMs' | 'worstEdgeMs'>> {
  chip.stamps.length = 0;
  await fetchAll(port, '/dut/steps', new Agent());
  const [first = 0] = chip.stamps;
  const late = chip.stamps.map((stamp, index) => stamp - first - index * STEP_MS);
  return { lateMs: median(late), latestMs: Math.max(...late), driftMs: late.at(-1) ?? 0 };
}

function fetchAll(port: number, path: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path, agent }, (response) => {
      response.resume();
      response.once('end', resolve);
    }).once('error', reject);
  });
}

function jigConfig(chip: string): object {
  const step = (index: number): object[] => [
    { gpio_name: 'reset', value: (STEPS - index) % 2 },
    { value: STEP_MS },
  ];
  return {
    schema: 'sai-jig',
    port: 0,
    iface: '127.0.0.1',
    targets: [
      {
        name: 'dut',
        gpios: [{ name: 'reset', chip, line: 'reset' }],
        sequences: [
          { name: 'pulse', seq: [{ pulse: 'reset', for: 0 }] },
          { name: 'steps', seq: Array.from({ length: STEPS }, (_, index) => step(index)).flat() },
        ],
      },
    ],
  };
}

/** A chip that only writes down when it was told to change a line. */
class StampingChip {
  readonly stamps: number[] = [];
  readonly #server = createServer((socket) => this.#take(socket));

  static async serve(path: string): Promise<StampingChip> {
    const chip = new StampingChip();
    chip.#server.listen(path);
    await once(chip.#server, 'listening');
    return chip;
  }

  close(): void {
    this.#server.close();
  }

  #take(socket: Socket): void {
    socket.on('error', () => {}); // `close` follows
    createInterface(socket).on('line', (line) => {
      const { op, id } = JSON.parse(line) as { op: string; id: number };
      if (op === 'set') this.stamps.push(nowMs());
      const lines = [{ name: 'reset', offset: 0, direction: 'input', consumer: null, level: 0 }];
      socket.write(`${JSON.stringify({ id, ok: true, ...(op === 'info' ? { chip: 'dut', lines } : {}) })}\n`);
    });
  }
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
