/** What `sai-jig` is asked to do. */

import { dirname, resolve } from 'node:path';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { didYouMean } from '../base/validate.ts';
import { DEFAULT_JIG_PORT } from '../wire/jig.ts';
import { Admission } from './admission.ts';
import { AuditFile } from './audit-file.ts';
import { type Backend, chipOpener } from './chips.ts';
import { systemClock } from './clock.ts';
import { type JigConfig, loadJigConfig } from './config.ts';
import { declaredChipOpener } from './declared-chips.ts';
import { timingDiagram, timingEntries } from './diagram.ts';
import { EventHub } from './event-hub.ts';
import { HttpServer } from './http-server.ts';
import { Jig } from './jig.ts';
import { keptOutputsRemark } from './kept-outputs.ts';
import { addressOf } from './listen-address.ts';
import { Metrics } from './metrics.ts';
import { SIMULATED_PEERS } from './peers.ts';
import { type LineValue, planTargets, sequenceAt, type TargetPlan } from './plan.ts';
import { longestToSafeMs } from './power-plan.ts';
import { ServiceManager } from './service-manager.ts';
import { simulate } from './simulation.ts';
import type { Target, TargetParts } from './target.ts';
import { expiryRemark, readTls } from './tls-files.ts';
import { transitions, type WaveStyle, waveform } from './waveform.ts';

export interface JigOptions {
  /** Path of the config. */
  readonly config: string;
  readonly backend: Backend;
  readonly format: 'text' | 'json';
}

interface Loaded {
  readonly config: JigConfig;
  readonly targets: readonly TargetPlan[];
}

async function load({ config: file }: JigOptions): Promise<Loaded> {
  const config = await loadJigConfig(file);
  return { config, targets: planTargets(config, file) };
}

/** The daemon, until told to stop. */
export async function serve(
  options: JigOptions & { readonly port: number | undefined; readonly host: string | undefined },
  invocation: Invocation,
): Promise<number> {
  const { diagnostics, print, stop } = invocation;
  const { config, targets } = await load(options);
  sayKeptOutputs(options, targets, invocation);
  const host = options.host ?? addressOf(config.iface, `${options.config}: iface`);
  const tls = readTls(config, options.config);
  const expiry = tls && expiryRemark(tls, Date.now());
  if (expiry !== undefined) diagnostics.say(expiry);
  const hub = new EventHub();
  const metrics = new Metrics();
  const say = (text: string): void => diagnostics.say(text);
  using manager = new ServiceManager(invocation.env, say);
  const longestMs = Math.max(0, ...targets.map(({ power }) => (power ? longestToSafeMs(power) : 0)));
  await using audit =
    config.auditFile === undefined
      ? undefined
      : new AuditFile(resolve(dirname(options.config), config.auditFile), say);
  const admission = new Admission(config.tokens);
  await using server = new HttpServer({
    hub,
    admission,
    metrics,
    tls,
    ...(audit ? { onAudit: (entry) => audit.write(entry) } : {}),
    say,
    onBug: (error) =>
      diagnostics.fail(
        `this is a bug in sai-rig, please report it: ${error instanceof Error ? error.stack : String(error)}`,
      ),
  });
  // Before anything is driven: a second jig on the port learns of the first, and leaves its boards alone.
  const port = await server.listen(host, options.port ?? config.port ?? DEFAULT_JIG_PORT);
  await manager.starting(longestMs);
  await using jig = await Jig.start(targets, {
    ...partsFor(options, targets, invocation),
    onEvent: (event) => {
      hub.emit(event);
      metrics.countEvent(event);
      if (diagnostics.verbosity === 'verbose') diagnostics.detail(JSON.stringify(event));
    },
  });
  await Promise.race([sayUnsafePower(jig, invocation), aborted(stop)]);
  if (!stop.aborted) {
    server.begin(jig.targets);
    if (!admission.asksForToken && tls?.ca === undefined) {
      diagnostics.say('no tokens in the config: whoever reaches this port can drive the lines');
    }
    const url = `${tls ? 'https' : 'http'}://${hostInUrl(host)}:${port}/`;
    if (options.format === 'json')
      print(
        `${JSON.stringify({ url, port, address: host ?? '*', targets: targets.map(({ name }) => name) })}\n`,
      );
    const where = isEverywhere(host) ? `port ${port} of all interfaces, ${url}` : url;
    const ready = `ready on ${where} with ${targets.length === 1 ? '1 target' : `${targets.length} targets`}`;
    diagnostics.say(ready);
    await manager.ready(ready);
    manager.watch(() => jig.probe());
    await aborted(stop);
  }
  await manager.stopping(longestMs);
  server.stopAccepting();
  // First the lines, then the answers that say so.
  await jig[Symbol.asyncDispose]();
  return 0;
}

/** Of outlets that wait for their `minOff`, that takes as long. */
async function sayUnsafePower(jig: Jig, { diagnostics, stop }: Invocation): Promise<void> {
  for (const { message } of await jig.makePowerSafe()) {
    if (!stop.aborted) diagnostics.say(`cannot make its power safe: ${message}`);
  }
}

/** Prints when a sequence does what. */
export async function dryRun(name: string, options: JigOptions, invocation: Invocation): Promise<number> {
  const { target, sequence } = sequenceAt((await load(options)).targets, name);
  if (options.format === 'json') {
    for (const entry of timingEntries(target, sequence)) invocation.print(`${JSON.stringify(entry)}\n`);
  } else {
    invocation.print(timingDiagram(target, sequence));
  }
  return 0;
}

/** What is asked of a simulation. */
export interface SimulateRequest {
  /** `TARGET/SEQUENCE`. */
  readonly name: string;
  /** `NAME=0` or `NAME=1`: inputs that keep a value. */
  readonly inputs: readonly string[];
  readonly style: WaveStyle;
}

/** Plays a sequence in memory, and prints what each line carries. @throws {JigError} why it did not get to its end */
export async function simulateOne(
  request: SimulateRequest,
  options: JigOptions,
  invocation: Invocation,
): Promise<number> {
  const { target, sequence } = sequenceAt((await load(options)).targets, request.name);
  const inputs = inputValues(target, request.inputs);
  const simulation = await simulate(target, sequence, inputs, invocation.stop);
  if (options.format === 'json') {
    for (const entry of transitions(target, simulation)) invocation.print(`${JSON.stringify(entry)}\n`);
  } else {
    invocation.print(waveform(target, sequence, simulation, request.style));
  }
  if (simulation.failure) throw simulation.failure;
  return 0;
}

/** @throws {RigError} blame `usage` for what is no input, or no value */
function inputValues(target: TargetPlan, texts: readonly string[]): Map<string, LineValue> {
  const known = target.lines.filter(({ output }) => !output).map(({ name }) => name);
  return new Map(
    texts.map((text) => {
      const [, name = '', value] = /^(.*)=([01])$/s.exec(text) ?? [];
      if (known.includes(name)) return [name, value === '1' ? 'active' : 'inactive'];
      throw new RigError(
        'usage',
        `--set: expected NAME=0 or NAME=1, the name of an input of ${target.name}, one of ${known.join(', ') || '(it has none)'}, got ${JSON.stringify(text)}${didYouMean(name, known)}`,
      );
    }),
  );
}

/** Plays one sequence without the daemon, and lets go of the lines through their safe values. */
export async function runOnce(name: string, options: JigOptions, invocation: Invocation): Promise<number> {
  const { target: plan, sequence } = sequenceAt((await load(options)).targets, name);
  const { diagnostics, stop } = invocation;
  const said = new Set<string>();
  await using jig = await Jig.start([plan], {
    ...partsFor(options, [plan], invocation),
    // What cannot be made safe when the sequence fails cannot be a moment later.
    say: (text) => {
      if (!said.has(text)) diagnostics.say(text);
      said.add(text);
    },
  });
  const target = jig.targets.get(plan.name);
  const report = await target?.run({
    sequence: sequence.name,
    waitMs: 0,
    // Nobody else can ask: the lines are ours alone.
    fence: plan.requireFence ? Number.MAX_SAFE_INTEGER : undefined,
    gone: stop,
    onGone: 'abort',
  });
  if (options.format === 'json') invocation.print(`${JSON.stringify(report)}\n`);
  else {
    const done = `${name}: done in ${Math.round(report?.durationMs ?? 0)} ms`;
    diagnostics.say([done, ...(target ? takenBack(target) : [])].join('; '));
  }
  return 0;
}

/** What a sequence has set, and the end of the process takes back. */
function takenBack({ unsafe: { lines, power } }: Target): string[] {
  return [
    ...(power === undefined ? [] : [`its power goes back to ${power}, which the daemon would keep`]),
    ...(lines.length === 0 ? [] : [`let go of: ${lines.join(', ')}`]),
  ];
}

/** Every line to its safe value, and let go of. */
export async function makeSafe(options: JigOptions, invocation: Invocation): Promise<number> {
  const { targets } = await load(options);
  const parts = partsFor(options, targets, invocation);
  await using jig = await Jig.start(targets, parts).catch(async (error: unknown) => {
    // Whoever has the lines has the power, too; but a chip that is away takes no plug along.
    const isTheirs = error instanceof RigError && error.blame === 'busy';
    const failures = isTheirs ? [] : await Jig.makePowerSafe(targets, parts);
    for (const { message } of failures) invocation.diagnostics.say(message);
    throw error;
  });
  const [failure] = await jig.makePowerSafe();
  if (failure) throw failure;
  invocation.diagnostics.say('every line is safe, and let go of');
  return 0;
}

function sayKeptOutputs(
  { backend }: JigOptions,
  targets: readonly TargetPlan[],
  { diagnostics }: Invocation,
): void {
  const remark = backend === 'simulated' ? undefined : keptOutputsRemark(targets);
  if (remark !== undefined) diagnostics.say(remark);
}

function partsFor(
  { backend }: JigOptions,
  targets: readonly TargetPlan[],
  { diagnostics }: Invocation,
): TargetParts {
  const openChip = chipOpener(backend, targets);
  return {
    openChip: backend === 'simulated' ? openChip : declaredChipOpener(openChip),
    clock: systemClock,
    onEvent: () => {},
    say: (text) => diagnostics.say(text),
    ...(backend === 'simulated' ? { peers: SIMULATED_PEERS } : {}),
  };
}

function isEverywhere(host: string | undefined): host is '0.0.0.0' | '::' | undefined {
  return host === undefined || host === '0.0.0.0' || host === '::';
}

function hostInUrl(host: string | undefined): string {
  if (isEverywhere(host)) return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
