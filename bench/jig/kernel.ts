/**
 * The same asked of real GPIO drivers: in the guest of the tests, an emulated machine and **not a Pi**, judged by the
 * kernel's own trace of what is done to the line. Peers in the same run: a chain of Node's timers, and gpioset in a shell.
 */

import { loadavg } from 'node:os';
import { GpioGuest, GUEST_HTTP_PORT, type GuestProcess, type SimChip } from '../../test/peers/gpio-guest.ts';

const ROUNDS = 5;
const STEPS = 300;
const STEP_MS = 10;
const PULSES = 100;
const PULSE_MS = 1;
const REQUESTS = 50;
/** Each starts two processes. */
const SHELL_ROUNDS = 30;

const NS_PER_MS = 1e6;
const MS_PER_S = 1000;

interface Bench {
  readonly guest: GpioGuest;
  readonly bin: string;
  readonly chip: SimChip;
}

/** What is measured: asks for one thing after the other, and leaves the rest to the trace. */
interface Player {
  readonly name: string;
  start(bench: Bench): Promise<GuestProcess>;
}

interface Figures {
  /** Of each edge behind its time, of each pulse past its length, of each first edge behind its request. */
  readonly steps: readonly number[];
  readonly pulses: readonly number[];
  readonly requests: readonly number[];
}

/** What a jig without anything that makes one of it comes to. */
const BARE = `
const { createServer } = require('node:http');
const { Chip, Line } = require(process.argv[1] + '/node_modules/node-libgpiod');
const chip = new Chip(process.argv[2]);
const line = new Line(chip, 0);
line.requestOutputMode('bare', 0);
const steps = (left, end) => {
  if (left === 0) return end();
  line.setValue((left + 1) % 2);
  setTimeout(steps, ${STEP_MS}, left - 1, end);
};
const pulses = (left, end) => {
  if (left === 0) return end();
  line.setValue(1);
  setTimeout(() => {
    line.setValue(0);
    setTimeout(pulses, ${STEP_MS}, left - 1, end);
  }, ${PULSE_MS});
};
createServer((request, response) => {
  const end = () => response.end('{}');
  if (request.url === '/dut/steps') return steps(${STEPS}, end);
  if (request.url === '/dut/pulses') return pulses(${PULSES}, end);
  line.setValue(1);
  line.setValue(0);
  end();
}).listen(${GUEST_HTTP_PORT}, '0.0.0.0', () => console.log('ready'));
`;

/** In the guest, whose clock is that of its trace. Prints when each request was sent. */
const CLIENT = `
const { Agent, get } = require('node:http');
const [url, count] = process.argv.slice(1);
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const sent = [];
const ask = () => {
  if (sent.length === Number(count)) {
    console.log(JSON.stringify(sent));
    return agent.destroy();
  }
  sent.push(Number(process.hrtime.bigint()) / ${NS_PER_MS});
  get(url, { agent }, (response) => response.resume().once('end', ask));
};
ask();
`;

const PLAYERS: readonly Player[] = [
  jigPlayer('sai-jig, uapi', 'uapi'),
  jigPlayer('sai-jig, uapi, chrt --rr 50', 'uapi', ['chrt', '--rr', '50']),
  jigPlayer('sai-jig, libgpiod', 'libgpiod'),
  {
    name: 'bare Node, node-libgpiod',
    start: async ({ guest, bin, chip }) =>
      guest.start(process.execPath, ['-e', BARE, `${bin}/..`, chip.path]),
  },
];

/** Called by bench/jig.ts. */
export async function benchOnKernel({
  bin,
  print,
}: {
  readonly bin: string;
  readonly print: (line: string) => void;
}): Promise<void> {
  await using guest = await GpioGuest.start();
  const chip = await guest.addChip('bench', ['dut']);
  await guest.shell(
    'cd /sys/kernel/tracing; echo mono > trace_clock; echo 1 > events/gpio/gpio_value/enable',
  );
  const bench = { guest, bin, chip };
  print(`in an emulated x86 machine (QEMU's TCG), not a Pi; medians of ${ROUNDS} rounds; ${loadText()}`);
  const names = [...PLAYERS.map(({ name }) => name), GPIOSET, SIMULATED];
  const all = new Map<string, Figures[]>(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const player of PLAYERS) all.get(player.name)?.push(await play(player, bench));
    all.get(GPIOSET)?.push({ steps: await gpiosetLateness(bench), pulses: [], requests: [] });
    all.get(SIMULATED)?.push(await simulatedLateness(bench));
  }
  for (const [name, rounds] of all) {
    print(name);
    print(
      rowOf(
        `  late over ${STEPS} steps of ${STEP_MS} ms`,
        rounds.map((each) => each.steps),
      ),
    );
    print(
      rowOf(
        `  past the end of ${PULSES} pulses of ${PULSE_MS} ms`,
        rounds.map((each) => each.pulses),
      ),
    );
    print(
      rowOf(
        `  from ${REQUESTS} requests to the first edge`,
        rounds.map((each) => each.requests),
      ),
    );
  }
  print(loadText());
}

const GPIOSET = `gpioset in a shell, ${2 * SHELL_ROUNDS} steps`;
const SIMULATED = 'sai-jig, simulated, by its own trace';

function jigPlayer(name: string, backend: string, wrapper: readonly string[] = []): Player {
  return {
    name,
    start: async ({ guest, bin, chip }) => {
      const config = await configFor(guest, chip.path);
      const where = ['--host', '0.0.0.0', '--port', `${GUEST_HTTP_PORT}`, '--backend', backend];
      const [program = '', ...args] = [...wrapper, `${bin}/sai-jig`, '--config', config, ...where];
      return guest.start(program, args);
    },
  };
}

async function configFor(guest: GpioGuest, chip: string): Promise<string> {
  const steps = Array.from({ length: STEPS }, (_, index) => [
    { gpio_name: 'dut', value: (index + 1) % 2 },
    { value: STEP_MS },
  ]);
  const pulses = [{ repeat: PULSES, seq: [{ pulse: 'dut', for: PULSE_MS }, { value: STEP_MS }] }];
  const sequences = [
    { name: 'steps', seq: steps.flat() },
    { name: 'pulses', seq: pulses },
    { name: 'edge', seq: [{ pulse: 'dut', for: 0 }] },
  ];
  const targets = [{ name: 'dut', gpios: [{ name: 'dut', chip, offset: 0 }], sequences }];
  await guest.run('tee', ['/tmp/bench.json'], { input: JSON.stringify({ schema: 'sai-jig', targets }) });
  return '/tmp/bench.json';
}

async function play(player: Player, bench: Bench): Promise<Figures> {
  const { guest } = bench;
  const server = await player.start(bench);
  await server.line(/ready/);
  const url = `http://127.0.0.1:${GUEST_HTTP_PORT}/dut`;
  const asked = async (program: string, ...args: string[]): Promise<{ stdout: string; edges: Edge[] }> => {
    await guest.shell('echo > /sys/kernel/tracing/trace');
    const { stdout } = await guest.run(program, args);
    return { stdout, edges: await edgesOf(guest) };
  };
  // A client that does nothing else meanwhile: there is one processor.
  const { edges: steps } = await asked('curl', '-s', `${url}/steps`);
  const { edges: pulses } = await asked('curl', '-s', `${url}/pulses`);
  const { stdout, edges } = await asked(process.execPath, '-e', CLIENT, `${url}/edge`, `${REQUESTS}`);
  const sent = JSON.parse(stdout) as number[];
  server.kill('SIGTERM');
  await server.outcome;
  return {
    steps: latenessOf(steps),
    pulses: pulses.flatMap(({ level, atMs }, index) => {
      const end = pulses[index + 1];
      return level === 1 && end ? [end.atMs - atMs - PULSE_MS] : [];
    }),
    requests: sent.map((sentMs) => (edges.find(({ atMs }) => atMs >= sentMs)?.atMs ?? Number.NaN) - sentMs),
  };
}

interface Edge {
  readonly level: number;
  readonly atMs: number;
}

async function edgesOf(guest: GpioGuest): Promise<Edge[]> {
  const text = await guest.shell('cat /sys/kernel/tracing/trace');
  const matches = text.matchAll(/ ([\d.]+): gpio_value: \d+ set ([01])/g);
  return [...matches].map(([, seconds, level]) => ({
    level: Number(level),
    atMs: Number(seconds) * MS_PER_S,
  }));
}

function latenessOf(edges: readonly Edge[]): number[] {
  const first = edges[0]?.atMs ?? Number.NaN;
  return edges.map(({ atMs }, index) => atMs - first - index * STEP_MS);
}

/** It holds the line for so long, and lets go of it. */
async function gpiosetLateness({ guest, chip }: Bench): Promise<number[]> {
  await guest.shell('echo > /sys/kernel/tracing/trace');
  const set = (level: number): string =>
    `gpioset --mode=time --usec=${STEP_MS * 1000} ${chip.path} 0=${level}`;
  await guest.shell(`for i in $(seq ${SHELL_ROUNDS}); do ${set(1)}; ${set(0)}; done`);
  return latenessOf(await edgesOf(guest));
}

async function simulatedLateness({ guest, bin, chip }: Bench): Promise<Figures> {
  const config = await configFor(guest, chip.path);
  const run = async (sequence: string): Promise<readonly TraceStep[]> => {
    const args = ['--config', config, '--backend', 'simulated', '--json', 'run', `dut/${sequence}`];
    const { stdout } = await guest.run(`${bin}/sai-jig`, args);
    return (JSON.parse(stdout) as { trace: TraceStep[] }).trace.filter(({ text }) => text.startsWith('dut'));
  };
  const steps = await run('steps');
  const pulses = await run('pulses');
  return {
    steps: steps.map(({ plannedMs, actualMs }) => actualMs - plannedMs),
    pulses: pulses.flatMap(({ actualMs }, index) =>
      index % 2 === 1 ? [actualMs - (pulses[index - 1]?.actualMs ?? Number.NaN) - PULSE_MS] : [],
    ),
    requests: [],
  };
}

interface TraceStep {
  readonly text: string;
  readonly plannedMs: number;
  readonly actualMs: number;
}

function rowOf(what: string, rounds: readonly (readonly number[])[]): string {
  if (rounds.every((round) => round.length === 0)) return `${what}: not measured`;
  const of = (share: number): string => median(rounds.map((round) => quantile(round, share))).toFixed(3);
  return `${what}: median ${of(0.5)} ms, 99 % ${of(0.99)} ms, at most ${of(1)} ms; least ${of(0)} ms`;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function loadText(): string {
  return `load of the host ${loadavg()[0]?.toFixed(2)}`;
}
