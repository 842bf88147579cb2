/** `sai jig …`: what people and scripts ask a jig for. */

import { formatDuration, parseDurationMs } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import type { JigAccess } from '../jig-client/ask.ts';
import { type JigAddress, parseJigAddress } from '../jig-client/jig-address.ts';
import { abortTarget, listTargets, watchJig } from '../jig-client/jig-client.ts';
import { runSequence } from '../jig-client/run-sequence.ts';
import { ENV } from '../wire/env.ts';
import type { JigEvent, TargetStatus } from '../wire/jig.ts';

export interface JigFlags {
  readonly url?: string;
}

export async function listJig(
  flags: JigFlags & { readonly json?: boolean },
  invocation: Invocation,
): Promise<void> {
  const { base, target } = addressOf(flags, invocation);
  const targets = await listTargets(base, accessOf(invocation));
  for (const each of targets.filter(({ name }) => target === undefined || name === target)) {
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
  const report = await runSequence({
    url: `${base}/${target}`,
    sequence,
    waitMs,
    onDisconnect: 'abort',
    ...accessOf(invocation),
  });
  if (flags.json) invocation.print(`${JSON.stringify(report ?? { target, sequence, outcome: 'done' })}\n`);
  else
    invocation.diagnostics.say(
      `${target}/${sequence}: done${report ? ` in ${formatDuration(report.durationMs)}` : ''}`,
    );
}

export async function abortJig(flags: JigFlags, invocation: Invocation): Promise<void> {
  const { base, target } = targetOf(flags, invocation);
  await abortTarget(base, target, accessOf(invocation));
  invocation.diagnostics.say(`${target}: its lines are safe`);
}

export async function watchTargets(
  flags: JigFlags & { readonly json?: boolean },
  invocation: Invocation,
): Promise<void> {
  const { base, target } = addressOf(flags, invocation);
  const onOpen = (): void => invocation.diagnostics.say(`watching ${target ?? base}`);
  await watchJig(base, accessOf(invocation), onOpen, (event) => {
    if (target !== undefined && event.target !== target) return;
    invocation.print(flags.json ? `${JSON.stringify(event)}\n` : eventText(event));
  });
}

function addressOf({ url }: JigFlags, { env }: Invocation): JigAddress {
  const text = url ?? env[ENV.deviceJig];
  if (text) return parseJigAddress(text, url === undefined ? ENV.deviceJig : '--url');
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

function accessOf({ env, stop }: Invocation): JigAccess {
  return { token: env[ENV.jigToken], fence: env[ENV.deviceFence], signal: stop };
}

function statusText({ name, state, reason, sequence, queued, sequences, lines }: TargetStatus): string {
  const doing = [state, sequence, reason, queued > 0 ? `${queued} waiting` : undefined].filter(Boolean);
  const values = lines.map((line) => `${line.name}${line.value === undefined ? '' : `=${line.value}`}`);
  return `${name}: ${doing.join(', ')}\n  sequences: ${sequences.join(', ')}\n  lines: ${values.join(', ')}\n`;
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
  }
}
