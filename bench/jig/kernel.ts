/**
 * The same asked of real GPIO drivers: in the guest of the tests, an emulated machine and **not a Pi**, judged by the
 * kernel's own trace of what is done to the line. Peers in the same run: timers of Node.js alone, and gpioset in a shell.
 */

import { spawn } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { GpioGuest, GUEST_HTTP_PORT, type GuestProcess, type SimChip } from '../../test/peers/gpio-guest.ts';

const ROUNDS = 5;
const STEPS = 300;
const STEP_MS = 10;
/** How many of which length. */
const PULSES: ReadonlyMap<number, number> = new Map([
  [1, 40],
  [2, 40],
  [5, 40],
  [50, 10],
]);
const REQUESTS = 50;
/** Each starts two processes. */
const SHELL_ROUNDS = 10;

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
  /** Of each edge behind its time, of each first edge behind its request, and, by length, of each pulse past it. */
  readonly steps: readonly number[];
  readonly requests: readonly number[];
  readonly pulses: ReadonlyMap<number, readonly number[]>;
}

/** How timers alone come to absolute times: with pauses as short as it takes, or never early, and cut by no more than ours. */
type Rule = 'absolute' | 'kept';

/** What a jig without anything that makes one of it comes to. */
const BARE = `
const { createServer } = require('node:http');
const [root, path, rule] = process.argv.slice(1);
const { Chip, Line } = require(root + '/node_modules/node-libgpiod');
const chip = new Chip(path);
const line = new Line(chip, 0);
line.requestOutputMode('bare', 0);
const nowMs = () => Number(process.hrtime.bigint()) / ${NS_PER_MS};
const steps = (end) => {
  let left = ${STEPS};
  let dueMs = nowMs();
  let untilMs = dueMs;
  const step = () => {
    if (left === 0) return end();
    const earlyMs = untilMs - nowMs();
    if (rule === 'kept' && earlyMs > 0) return setTimeout(step, Math.ceil(earlyMs));
    line.setValue((left-- + 1) % 2);
    dueMs += ${STEP_MS};
    untilMs = rule === 'kept' ? Math.max(dueMs, nowMs() + ${0.9 * STEP_MS}) : dueMs;
    setTimeout(step, Math.ceil(untilMs - nowMs()));
  };
  step();
};
const pulses = (forMs, left, end) => {
  if (left === 0) return end();
  line.setValue(1);
  setTimeout(() => {
    line.setValue(0);
    setTimeout(pulses, ${STEP_MS}, forMs, left - 1, end);
  }, forMs);
};
createServer((request, response) => {
  const end = () => response.end('{}');
  const [, what, forMs, count] = /^.dut.([a-z]+)-?(\\d*)-?(\\d*)/.exec(request.url);
  if (what === 'steps') return steps(end);
  if (what === 'pulses') return pulses(Number(forMs), Number(count), end);
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
  barePlayer('bare Node, absolute times, pauses as short as it takes', 'absolute'),
  barePlayer('bare Node, absolute times, pauses kept as ours', 'kept'),
];
const [OURS] = PLAYERS;
const PEERS = PLAYERS.slice(-2);

/**
 * One nanosecond an instruction, and no time while it waits: what else the host does is not seen, and each run is as the
 * one before. Source: QEMU, invocation, -icount.
 */
const COUNTED = ['-icount', 'shift=0,sleep=off'];

/** Called by bench/jig.ts. `loaded`: while every processor of the host has something else to do. */
export async function benchOnKernel({
  bin,
  print,
  args,
}: {
  readonly bin: string;
  readonly print: (line: string) => void;
  readonly args: readonly string[];
}): Promise<void> {
  const isCounted = args.includes('counted');
  const isLoaded = args.includes('loaded');
  await using guest = await GpioGuest.start({ devices: isCounted ? COUNTED : [] });
  const chip = await guest.addChip('bench', ['dut']);
  await guest.shell(
    'cd /sys/kernel/tracing; echo mono > trace_clock; echo 1 > events/gpio/gpio_value/enable',
  );
  const bench = { guest, bin, chip };
  using _load = isLoaded ? loadOfAllProcessors() : undefined;
  const beside = isLoaded ? `; beside a busy loop for each of ${availableParallelism()} processors` : '';
  const how = isCounted ? ', a nanosecond an instruction' : '';
  print(
    `in an emulated x86 machine (QEMU's TCG${how}), not a Pi; medians of ${ROUNDS} rounds${beside}; ${loadText()}`,
  );
  const names = [...PLAYERS.map(({ name }) => name), ...(isCounted ? [] : [GPIOSET])];
  const all = new Map<string, Figures[]>(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const player of PLAYERS) all.get(player.name)?.push(await play(player, bench));
    // Where time runs on while a program is read from the host, starting one says nothing.
    if (!isCounted)
      all.get(GPIOSET)?.push({ steps: await gpiosetLateness(bench), pulses: new Map(), requests: [] });
  }
  for (const [name, rounds] of all) {
    print(name);
    for (const line of rowsOf(rounds)) print(line);
  }
  for (const { name } of PEERS) {
    const ratio = (key: (figures: Figures) => number): string =>
      (medianOf(all.get(OURS?.name ?? ''), key) / medianOf(all.get(name), key)).toFixed(2);
    print(
      `${OURS?.name} : ${name}: request to edge ${ratio(({ requests }) => median(requests))} ×, ` +
        `steps late ${ratio(({ steps }) => median(steps))} ×, end late ${ratio(({ steps }) => steps.at(-1) ?? 0)} ×`,
    );
  }
  print(loadText());
}

const GPIOSET = `gpioset in a shell, ${2 * SHELL_ROUNDS} steps`;

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

function barePlayer(name: string, rule: Rule): Player {
  return {
    name,
    start: async ({ guest, bin, chip }) =>
      guest.start(process.execPath, ['-e', BARE, `${bin}/..`, chip.path, rule]),
  };
}

function loadOfAllProcessors(): Disposable {
  const loops = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  return {
    [Symbol.dispose]: () => {
      for (const loop of loops) loop.kill('SIGKILL');
    },
  };
}

async function configFor(guest: GpioGuest, chip: string): Promise<string> {
  const steps = Array.from({ length: STEPS }, (_, index) => [
    { gpio_name: 'dut', value: (index + 1) % 2 },
    { value: STEP_MS },
  ]);
  const pulses = [...PULSES].map(([forMs, count]) => ({
    name: pulsesName(forMs),
    seq: [{ repeat: count, seq: [{ pulse: 'dut', for: forMs }, { value: STEP_MS }] }],
  }));
  const sequences = [
    { name: 'steps', seq: steps.flat() },
    ...pulses,
    { name: 'edge', seq: [{ pulse: 'dut', for: 0 }] },
  ];
  const targets = [{ name: 'dut', gpios: [{ name: 'dut', chip, offset: 0 }], sequences }];
  await guest.run('tee', ['/tmp/bench.json'], { input: JSON.stringify({ schema: 'sai-jig', targets }) });
  return '/tmp/bench.json';
}

function pulsesName(forMs: number): string {
  return `pulses-${forMs}-${PULSES.get(forMs)}`;
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
  const pulses = new Map<number, readonly number[]>();
  for (const forMs of PULSES.keys()) {
    const { edges } = await asked('curl', '-s', `${url}/${pulsesName(forMs)}`);
    pulses.set(forMs, tooLongOf(edges, forMs));
  }
  const { stdout, edges } = await asked(process.execPath, '-e', CLIENT, `${url}/edge`, `${REQUESTS}`);
  const sent = JSON.parse(stdout) as number[];
  server.kill('SIGTERM');
  await server.outcome;
  return {
    steps: latenessOf(steps),
    pulses,
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

/** Behind a plan that the earliest of them keeps: the first is later than any, by code that has not run yet. */
function latenessOf(edges: readonly Edge[]): number[] {
  const begins = edges.map(({ atMs }, index) => atMs - index * STEP_MS);
  const earliest = Math.min(...begins);
  return begins.map((begin) => begin - earliest);
}

function tooLongOf(edges: readonly Edge[], forMs: number): number[] {
  return edges.flatMap(({ level, atMs }, index) => {
    const end = edges[index + 1];
    return level === 1 && end ? [end.atMs - atMs - forMs] : [];
  });
}

/** It holds the line for so long, and lets go of it. */
async function gpiosetLateness({ guest, chip }: Bench): Promise<number[]> {
  await guest.shell('echo > /sys/kernel/tracing/trace');
  const set = (level: number): string =>
    `gpioset --mode=time --usec=${STEP_MS * 1000} ${chip.path} 0=${level}`;
  await guest.shell(`for i in $(seq ${SHELL_ROUNDS}); do ${set(1)}; ${set(0)}; done`);
  return latenessOf(await edgesOf(guest));
}

function rowsOf(rounds: readonly Figures[]): string[] {
  const row = (what: string, lists: readonly (readonly number[])[], last = ''): string => {
    const of = (share: number): string => median(lists.map((list) => quantile(list, share))).toFixed(3);
    return `  ${what}: median ${of(0.5)} ms, 99 % ${of(0.99)} ms, at most ${of(1)} ms; least ${of(0)} ms${last}`;
  };
  const endMs = medianOf(rounds, ({ steps }) => steps.at(-1) ?? Number.NaN).toFixed(3);
  const has = (list: readonly number[] | undefined): boolean => (list?.length ?? 0) > 0;
  return [
    row(
      `late over ${STEPS} steps of ${STEP_MS} ms`,
      rounds.map(({ steps }) => steps),
      `; at the end ${endMs} ms`,
    ),
    ...[...PULSES]
      .filter(([forMs]) => rounds.some(({ pulses }) => has(pulses.get(forMs))))
      .map(([forMs, count]) =>
        row(
          `too long by, ${count} pulses of ${forMs} ms`,
          rounds.map(({ pulses }) => pulses.get(forMs) ?? []),
        ),
      ),
    ...(rounds.some(({ requests }) => has(requests))
      ? [
          row(
            `from ${REQUESTS} requests to the first edge`,
            rounds.map(({ requests }) => requests),
          ),
        ]
      : []),
  ];
}

function medianOf(rounds: readonly Figures[] = [], key: (figures: Figures) => number): number {
  return median(rounds.map(key));
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
