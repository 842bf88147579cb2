/** `sai jig …`: what people and scripts ask a jig for. */

import { formatDuration, LONGEST_MS, parseDurationMs } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import type { Invocation } from '../base/run-main.ts';
import type { JigAccess } from '../jig-client/ask.ts';
import { type JigAddress, parseJigAddress } from '../jig-client/jig-address.ts';
import { abortTarget, listTargets, watchJig } from '../jig-client/jig-client.ts';
import { runSequence } from '../jig-client/run-sequence.ts';
import { logJigRun } from '../logproxy/log-jig-run.ts';
import { openSender } from '../logproxy/open-sender.ts';
import { ENV } from '../wire/env.ts';
import type { JigEvent, RunReport, TargetStatus } from '../wire/jig.ts';

/** A jig that is well answers at once, or once its lines are safe. */
export const ANSWER_LIMIT = '30s';
/** A sequence may take its time. */
export const RUN_LIMIT = '15m';

export interface JigFlags {
  readonly url?: string;
  readonly timeout: string;
}

export async function listJig(
  flags: JigFlags & { readonly json?: boolean },
  invocation: Invocation,
): Promise<void> {
  const { base, target } = addressOf(flags, invocation);
  using limit = new Limit(flags.timeout, base, invocation);
  for (const each of await statuses(base, target, limit.access)) {
    invocation.print(flags.json ? `${JSON.stringify(each)}\n` : statusText(each));
  }
}

export async function runOnJig(
  sequence: string,
  flags: JigFlags & { readonly wait?: string; readonly json?: boolean },
  invocation: Invocation,
): Promise<void> {
  const { base, target } = targetOf(flags, invocation);
  const waitMs = flags.wait === undefined ? 0 : parseDurationMs(flags.wait, '--wait');
  using limit = new Limit(flags.timeout, base, invocation, waitMs);
  const ask = { url: `${base}/${target}`, sequence, waitMs, onDisconnect: 'abort', ...limit.access } as const;
  const report = await logged(invocation, `sai: ${target}/${sequence}`, () => runSequence(ask));
  if (flags.json) invocation.print(`${JSON.stringify(report ?? { target, sequence, outcome: 'done' })}\n`);
  else
    invocation.diagnostics.say(
      `${target}/${sequence}: done${report ? ` in ${formatDuration(report.durationMs)}` : ''}`,
    );
}

/** With the jig's channel of the log, where there is one. */
async function logged(
  { env, diagnostics }: Invocation,
  what: string,
  run: () => Promise<RunReport | undefined>,
): Promise<RunReport | undefined> {
  const log = await openSender(env, ENV.logproxyJig, (text) => diagnostics.say(text));
  try {
    return await logJigRun(log, what, run);
  } finally {
    await log?.close();
  }
}

export async function abortJig(flags: JigFlags, invocation: Invocation): Promise<void> {
  const { base, target } = targetOf(flags, invocation);
  using limit = new Limit(flags.timeout, base, invocation);
  await abortTarget(base, target, limit.access);
  invocation.diagnostics.say(`${target}: its lines are safe`);
}

export async function watchTargets(
  flags: JigFlags & { readonly json?: boolean },
  invocation: Invocation,
): Promise<void> {
  const { base, target } = addressOf(flags, invocation);
  using limit = new Limit(flags.timeout, base, invocation);
  if (target !== undefined) await statuses(base, target, limit.access);
  const onOpen = (): void => {
    limit.lift();
    invocation.diagnostics.say(`watching ${target ?? base}`);
  };
  await watchJig(base, limit.access, onOpen, (event) => {
    if (target !== undefined && event.target !== target) return;
    invocation.print(flags.json ? `${JSON.stringify(event)}\n` : eventText(event));
  });
}

/** Of one target, or of all. @throws {RigError} blame `config` for a target that is not there */
async function statuses(
  base: string,
  target: string | undefined,
  access: JigAccess,
): Promise<readonly TargetStatus[]> {
  const targets = await listTargets(base, access);
  if (target === undefined) return targets;
  const status = targets.find(({ name }) => name === target);
  if (status) return [status];
  const known = targets.map(({ name }) => name).join(', ') || '(there is none)';
  throw new RigError(
    'config',
    `jig ${base}: expected a target, one of ${known}, got ${JSON.stringify(target)}`,
  );
}

/** How a jig is asked, for as long as its caller wants to wait: one that is stopped takes connections, and is silent. */
class Limit implements Disposable {
  readonly access: JigAccess;
  readonly #timeUp = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #ends: LinkedSignal;

  /** `waitMs` is what the jig itself was asked to wait before it begins. */
  constructor(timeout: string, base: string, { env, stop }: Invocation, waitMs = 0) {
    const timeoutMs = Math.min(parseDurationMs(timeout, '--timeout') + waitMs, LONGEST_MS);
    const text = `jig ${base}: expected its answer within ${formatDuration(timeoutMs)}; is it stopped? Else give a longer --timeout`;
    this.#timer = setTimeout(() => this.#timeUp.abort(new RigError('unavailable', text)), timeoutMs);
    this.#ends = new LinkedSignal([stop, this.#timeUp.signal]);
    this.access = {
      token: env[ENV.jigToken],
      fence: env[ENV.deviceFence],
      certificate: env[ENV.jigCertificate],
      key: env[ENV.jigKey],
      signal: this.#ends.signal,
    };
  }

  /** From now on it takes as long as it takes. */
  lift(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.lift();
    this.#ends[Symbol.dispose]();
  }
}

function addressOf({ url }: JigFlags, { env }: Invocation): JigAddress {
  const text = url ?? env[ENV.deviceJig];
  if (text) return parseJigAddress(text, url === undefined ? ENV.deviceJig : '--url');
  if (env[ENV.deviceLease]) {
    const device = env[ENV.deviceName] ?? 'the leased device';
    throw new RigError(
      'config',
      `${device}: expected a jig, its device has no "jig" in the devices config; name it there, or give --url http://HOST:PORT/TARGET`,
    );
  }
  throw new RigError(
    'usage',
    `no jig named: give --url http://HOST:PORT/TARGET, or run under a lease that sets ${ENV.deviceJig}`,
  );
}

function targetOf(
  flags: JigFlags,
  invocation: Invocation,
): { readonly base: string; readonly target: string } {
  const { base, target } = addressOf(flags, invocation);
  if (target !== undefined) return { base, target };
  throw new RigError(
    'usage',
    `${base}: expected a target in the URL, such as ${base}/uno-1; see sai jig list`,
  );
}

function statusText({
  name,
  state,
  reason,
  sequence,
  queued,
  sequences,
  lines,
  power,
}: TargetStatus): string {
  const doing = [state, sequence, reason, queued > 0 ? `${queued} waiting` : undefined].filter(Boolean);
  const values = lines.map((line) => `${line.name}${line.value === undefined ? '' : `=${line.value}`}`);
  return `${name}: ${doing.join(', ')}\n  sequences: ${sequences.join(', ')}\n  lines: ${values.join(', ')}\n${power === undefined ? '' : `  power: ${power}\n`}`;
}

function eventText(event: JigEvent): string {
  const time = new Date(event.atMs).toISOString();
  switch (event.event) {
    case 'started':
      return `${time} ${event.target}/${event.sequence} started\n`;
    case 'step':
      return `${time} ${event.target}/${event.sequence} ${event.text}\n`;
    case 'ended': {
      const how = event.error ?? `${event.outcome} in ${formatDuration(event.durationMs)}`;
      return `${time} ${event.target}/${event.sequence} ${how}\n`;
    }
    case 'unavailable':
      return `${time} ${event.target} unavailable: ${event.reason}\n`;
    case 'available':
      return `${time} ${event.target} available\n`;
    case 'overdue':
      return `${time} ${event.target} ${event.line} was active for ${formatDuration(event.maxActiveMs)}, its longest time\n`;
    case 'safe': {
      const power = event.power === undefined ? [] : [`power ${event.power}`];
      return `${time} ${event.target} made safe: ${[...event.lines, ...power].join(', ')}\n`;
    }
  }
}
