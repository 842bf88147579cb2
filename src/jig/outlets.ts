/** The outlets that a target's `power` names. */

import { type CallHttp, withoutSecrets } from './http-call.ts';
import { PeerError } from './peer-error.ts';
import type { PowerValue, TurnPower } from './power.ts';
import type { Outlet } from './power-plan.ts';
import { lastWords, type ProgramOutcome, runProgram } from './run-program.ts';

export function turnerOf(outlet: Outlet, callHttp: CallHttp): TurnPower {
  switch (outlet.kind) {
    case 'tasmota':
      return async (value, signal) => await turnPlug(outlet, value, callHttp, signal);
    case 'uhubctl':
      return async (value, signal) => await turnPort(outlet, value, signal);
    case 'command':
      return async (value, signal) => await turnByCommand(outlet, value, signal);
  }
}

/** Source: Tasmota, Commands: `http://<ip>/cm?cmnd=Power%20On` is answered `{"POWER":"ON"}`, of several relays `POWER1`. */
async function turnPlug(
  { url, relay, login, withinMs }: Outlet & { kind: 'tasmota' },
  value: PowerValue,
  callHttp: CallHttp,
  signal: AbortSignal,
): Promise<void> {
  const where = withoutSecrets(url);
  const words = [
    ...(login
      ? [`user=${encodeURIComponent(login.user)}`, `password=${encodeURIComponent(login.password)}`]
      : []),
    `cmnd=Power${relay ?? ''}%20${value === 'on' ? 'On' : 'Off'}`,
  ];
  const call = {
    url: `${new URL(url).origin}/cm?${words.join('&')}`,
    method: 'GET',
    headers: {},
    body: undefined,
    expected: 200,
  };
  const { status, text } = await callHttp({ ...call, withinMs }, signal);
  if (status === 401) {
    throw new PeerError('peer-answer', `${where}: expected to be let in, got 401; check user and password`);
  }
  const keys = relay === undefined || relay === 1 ? ['POWER', 'POWER1'] : [`POWER${relay}`];
  const answer = objectIn(text);
  const isDone = status === 200 && keys.some((key) => answer[key] === value.toUpperCase());
  if (isDone) return;
  throw new PeerError(
    'peer-answer',
    `${where}: expected {"${keys[0]}":"${value.toUpperCase()}"}, got ${status} ${shortened(text)}; is it a Tasmota plug, and is user and password right?`,
  );
}

/** Source: uhubctl 2.4, `print_port_status`: `Port 2: 0100 power`, `Port 2: 0000 off`, after `New status for hub`. */
async function turnPort(
  { location, port, withinMs }: Outlet & { kind: 'uhubctl' },
  value: PowerValue,
  signal: AbortSignal,
): Promise<void> {
  const where = `hub ${location}, port ${port}`;
  const outcome = await runProgram(
    ['uhubctl', '-l', location, '-p', `${port}`, '-a', value],
    withinMs,
    signal,
  );
  if (outcome.status !== 0) {
    throw new PeerError(
      'peer-unavailable',
      `${where}: uhubctl ended with ${outcome.status}: ${lastWords(outcome)}; is the hub there, and may this user switch it?`,
    );
  }
  // A USB 3 hub is two hubs, and both are told.
  const states = [...outcome.stdout.matchAll(/^New status for hub.*\n((?: +Port .*\n?)*)/gm)]
    .flatMap(([, ports = '']) => ports.split('\n'))
    .map((line) => /^ +Port (\d+): [0-9a-f]{4} (power|off)/.exec(line))
    .filter((match) => match?.[1] === `${port}`)
    .map((match) => match?.[2]);
  const wanted = value === 'on' ? 'power' : 'off';
  if (states.length > 0 && states.every((state) => state === wanted)) return;
  throw new PeerError(
    'peer-answer',
    `${where}: expected ${value}, got ${states.join(' and ') || 'no status of it'}; can the hub switch that port?`,
  );
}

async function turnByCommand(
  outlet: Outlet & { kind: 'command' },
  value: PowerValue,
  signal: AbortSignal,
): Promise<void> {
  const { withinMs, state } = outlet;
  succeeded(outlet[value], await runProgram(outlet[value], withinMs, signal));
  if (!state) return;
  const { stdout } = succeeded(state, await runProgram(state, withinMs, signal));
  if (stdout.trim().toLowerCase() === value) return;
  throw new PeerError(
    'peer-answer',
    `${state.join(' ')}: expected ${value}, got ${shortened(stdout.trim())}`,
  );
}

function succeeded(argv: readonly string[], outcome: ProgramOutcome): ProgramOutcome {
  if (outcome.status === 0) return outcome;
  throw new PeerError(
    'peer-answer',
    `${argv.join(' ')}: expected status 0, got ${outcome.status}: ${lastWords(outcome)}`,
  );
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {}; // told as what it is
  }
}

function shortened(text: string): string {
  const shown = JSON.stringify(text);
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown;
}
