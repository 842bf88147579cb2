/** The outlets that a target's `power` names. */

import { type CallHttp, type HttpAnswer, withoutSecrets } from './http-call.ts';
import { PeerError } from './peer-error.ts';
import type { PowerValue, TurnPower } from './power.ts';
import { type Outlet, outletText } from './power-plan.ts';
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

/** What an outlet says that it is, without switching it. @throws {PeerError}, the reason of `signal` */
export type AskPower = (signal: AbortSignal) => Promise<PowerValue>;

/** Undefined for an outlet that can only be switched: a command without `state`. */
export function askerOf(outlet: Outlet, callHttp: CallHttp): AskPower | undefined {
  switch (outlet.kind) {
    case 'tasmota':
      return async (signal) => await askPlug(outlet, callHttp, signal);
    case 'uhubctl':
      return async (signal) => await askPort(outlet, signal);
    case 'command': {
      const { state, withinMs } = outlet;
      return state && (async (signal) => await askCommand(state, withinMs, signal));
    }
  }
}

/** Source: Tasmota, Commands: `http://<ip>/cm?cmnd=Power%20On` is answered `{"POWER":"ON"}`, of several relays `POWER1`. */
async function turnPlug(
  outlet: Outlet & { kind: 'tasmota' },
  value: PowerValue,
  callHttp: CallHttp,
  signal: AbortSignal,
): Promise<void> {
  const argument = value === 'on' ? 'On' : 'Off';
  const answer = await tellPlug(outlet, `%20${argument}`, callHttp, signal);
  if (answer.state === value) return;
  throw notFromPlug(outlet, `{"${answer.key}":"${value.toUpperCase()}"}`, answer);
}

async function askPlug(
  outlet: Outlet & { kind: 'tasmota' },
  callHttp: CallHttp,
  signal: AbortSignal,
): Promise<PowerValue> {
  const answer = await tellPlug(outlet, '', callHttp, signal);
  if (answer.state) return answer.state;
  throw notFromPlug(outlet, `{"${answer.key}":"ON"} or "OFF"`, answer);
}

interface PlugAnswer extends HttpAnswer {
  /** What the answer should have. */
  readonly key: string;
  readonly state: PowerValue | undefined;
}

/** Without an argument, `Power` asks for the state. */
async function tellPlug(
  { url, relay, login, withinMs }: Outlet & { kind: 'tasmota' },
  argument: string,
  callHttp: CallHttp,
  signal: AbortSignal,
): Promise<PlugAnswer> {
  const words = [
    ...(login
      ? [`user=${encodeURIComponent(login.user)}`, `password=${encodeURIComponent(login.password)}`]
      : []),
    `cmnd=Power${relay ?? ''}${argument}`,
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
    throw new PeerError(
      'peer-answer',
      `${withoutSecrets(url)}: expected to be let in, got 401; check user and password`,
    );
  }
  const keys = relay === undefined || relay === 1 ? ['POWER', 'POWER1'] : [`POWER${relay}`];
  const answer = objectIn(text);
  const said = status === 200 ? keys.map((key) => answer[key]) : [];
  const state = said.includes('ON') ? 'on' : said.includes('OFF') ? 'off' : undefined;
  return { status, text, key: keys[0] ?? '', state };
}

function notFromPlug({ url }: { readonly url: string }, expected: string, answer: PlugAnswer): PeerError {
  return new PeerError(
    'peer-answer',
    `${withoutSecrets(url)}: expected ${expected}, got ${answer.status} ${shortened(answer.text)}; is it a Tasmota plug, and is user and password right?`,
  );
}

/** A USB 3 hub is two hubs, and both are told. */
async function turnPort(
  outlet: Outlet & { kind: 'uhubctl' },
  value: PowerValue,
  signal: AbortSignal,
): Promise<void> {
  const states = await portStates(outlet, ['-a', value], 'New', signal);
  if (states.length > 0 && states.every((state) => state === value)) return;
  throw new PeerError(
    'peer-answer',
    `${outletText(outlet)}: expected ${value}, got ${states.join(' and ') || 'no status of it'}; can the hub switch that port?`,
  );
}

async function askPort(outlet: Outlet & { kind: 'uhubctl' }, signal: AbortSignal): Promise<PowerValue> {
  const [state] = await portStates(outlet, [], 'Current', signal);
  if (state) return state;
  throw new PeerError(
    'peer-answer',
    `${outletText(outlet)}: expected on or off, got no status of it; has the hub that port, and can it switch it?`,
  );
}

/**
 * Source: uhubctl 2.4, `print_port_status`: `Port 2: 0100 power`, `Port 2: 0000 off`, after `New status for hub`; without
 * an action, after `Current status for hub` alone.
 */
async function portStates(
  outlet: Outlet & { kind: 'uhubctl' },
  action: readonly string[],
  which: 'New' | 'Current',
  signal: AbortSignal,
): Promise<PowerValue[]> {
  const { location, port, withinMs } = outlet;
  const argv = ['uhubctl', '-l', location, '-p', `${port}`, ...action];
  const outcome = await runProgram(argv, withinMs, signal);
  if (outcome.status !== 0) {
    throw new PeerError(
      'peer-unavailable',
      `${outletText(outlet)}: uhubctl ended with ${outcome.status}: ${lastWords(outcome)}; is the hub there, and may this user switch it?`,
    );
  }
  const status = new RegExp(`^${which} status for hub.*\\n((?: +Port .*\\n?)*)`, 'gm');
  return [...outcome.stdout.matchAll(status)]
    .flatMap(([, ports = '']) => ports.split('\n'))
    .map((line) => /^ +Port (\d+): [0-9a-f]{4} (power|off)/.exec(line))
    .filter((match) => match?.[1] === `${port}`)
    .map((match) => (match?.[2] === 'power' ? 'on' : 'off'));
}

async function turnByCommand(
  outlet: Outlet & { kind: 'command' },
  value: PowerValue,
  signal: AbortSignal,
): Promise<void> {
  const { withinMs, state } = outlet;
  succeeded(outlet[value], await runProgram(outlet[value], withinMs, signal));
  if (!state) return;
  const found = await stateOf(state, withinMs, signal);
  if (found.toLowerCase() === value) return;
  throw new PeerError('peer-answer', `${state.join(' ')}: expected ${value}, got ${shortened(found)}`);
}

async function askCommand(
  state: readonly string[],
  withinMs: number,
  signal: AbortSignal,
): Promise<PowerValue> {
  const found = await stateOf(state, withinMs, signal);
  const value = found.toLowerCase();
  if (value === 'on' || value === 'off') return value;
  throw new PeerError('peer-answer', `${state.join(' ')}: expected on or off, got ${shortened(found)}`);
}

async function stateOf(state: readonly string[], withinMs: number, signal: AbortSignal): Promise<string> {
  const { stdout } = succeeded(state, await runProgram(state, withinMs, signal));
  return stdout.trim();
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
