/** The commands that do to one board what a hand or a jig would do. */

import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { parseDurationMs } from '../base/duration.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { EXIT_CANNOT_START, exitStatusOfSignal } from '../base/exit.ts';
import { refusalOf } from '../base/program.ts';
import { type Invocation, Stopped } from '../base/run-main.ts';
import { SimChipClient } from '../sim-chip/sim-chip-client.ts';
import type { BoardAction, Level, SimChipEvent } from '../wire/sim-chip.ts';

export interface ChipOptions {
  readonly chip?: string;
}

/** @throws {RigError} blame `usage` when no chip is named, `unavailable` when nobody serves it */
async function connect({ chip }: ChipOptions, { env }: Invocation): Promise<SimChipClient> {
  const path = chip ?? env['SIM_CHIP'];
  if (!path) {
    throw new RigError(
      'usage',
      'no chip named: give --chip SOCKET or set SIM_CHIP; `sai-virtual-lab up` prints it',
    );
  }
  return await SimChipClient.connect(path);
}

export async function listLines(
  options: ChipOptions & { readonly json?: boolean },
  invocation: Invocation,
): Promise<number> {
  using chip = await connect(options, invocation);
  const { lines } = await answered(chip.info(), invocation);
  for (const line of lines) {
    const text = `${line.name.padEnd(10)} ${line.direction.padEnd(7)} ${line.level}  ${line.consumer ?? ''}`;
    invocation.print(`${options.json ? JSON.stringify(line) : text.trimEnd()}\n`);
  }
  return 0;
}

export async function getLine(line: string, options: ChipOptions, invocation: Invocation): Promise<number> {
  using chip = await connect(options, invocation);
  const levels = await answered(chip.get([line]), invocation);
  invocation.print(`${levels[line]}\n`);
  return 0;
}

/** Drives a line to the opposite of what it rests at, and lets go. */
export async function pulseLine(
  line: string,
  options: ChipOptions & { readonly for: string },
  invocation: Invocation,
): Promise<number> {
  const durationMs = parseDurationMs(options.for, '--for');
  using chip = await connect(options, invocation);
  const resting = (await answered(chip.get([line]), invocation))[line];
  const opposite = resting === 1 ? 0 : 1;
  await answered(chip.request('sai-virtual-lab pulse', { [line]: opposite }), invocation);
  await within(chip, invocation, (signal) => delay(durationMs, undefined, { signal }));
  await answered(chip.release([line]), invocation);
  return 0;
}

/** Holds lines at their levels while a command runs; the status is the command's. */
export async function holdLines(
  assignments: readonly string[],
  command: readonly string[],
  options: ChipOptions,
  invocation: Invocation,
): Promise<number> {
  const levels = Object.fromEntries(assignments.map(parseAssignment));
  const [program, ...args] = command;
  if (assignments.length === 0 || program === undefined) {
    throw new RigError(
      'usage',
      'hold: expected LINE=0|1 ... -- COMMAND, for example: hold button=0 -- sleep 1',
    );
  }
  using chip = await connect(options, invocation);
  await answered(chip.request('sai-virtual-lab hold', levels), invocation);
  const status = await runCommand(program, args, invocation);
  if (chip.ended.aborted) throw new RigError('hardware', `the chip went away while ${program} ran`);
  return status;
}

export async function watchLines(
  lines: readonly string[],
  options: ChipOptions & { readonly json?: boolean },
  invocation: Invocation,
): Promise<number> {
  using chip = await connect(options, invocation);
  const watched =
    lines.length > 0 ? lines : (await answered(chip.info(), invocation)).lines.map(({ name }) => name);
  const show = (edge: SimChipEvent): void =>
    invocation.print(options.json ? `${JSON.stringify(edge)}\n` : edgeText(edge));
  await answered(chip.watch(watched, show), invocation);
  invocation.diagnostics.say(`watching ${watched.join(', ')}`);
  await within(
    chip,
    invocation,
    (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
  );
  return 0;
}

export async function actOnBoard(
  action: BoardAction,
  options: ChipOptions,
  invocation: Invocation,
): Promise<number> {
  using chip = await connect(options, invocation);
  await answered(chip.act(action), invocation);
  return 0;
}

/** The answer, unless the command is told to stop before it comes: a stopped lab gives none. */
async function answered<T>(answer: Promise<T>, { stop }: Invocation): Promise<T> {
  const told = new AbortController();
  const stopped = new Promise<never>((_resolve, reject) => {
    const refuse = (): void => reject(stop.reason as Error);
    if (stop.aborted) refuse();
    stop.addEventListener('abort', refuse, { signal: told.signal });
  });
  try {
    return await Promise.race([answer, stopped]);
  } finally {
    told.abort();
  }
}

/** Waits, unless the command is told to stop or the chip goes away. */
async function within(
  chip: SimChipClient,
  { stop }: Invocation,
  wait: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const signal = AbortSignal.any([stop, chip.ended]);
  try {
    await wait(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  signal.throwIfAborted();
}

function edgeText({ line, level, monotonicMs, lost }: SimChipEvent): string {
  const gap = lost ? `(${lost} changes lost)\n` : '';
  return `${gap}${monotonicMs.toFixed(3)} ${line} ${level}\n`;
}

function parseAssignment(text: string): [string, Level] {
  const match = /^([^=]+)=([01])$/.exec(text);
  if (!match?.[1]) throw new RigError('usage', `${text}: expected LINE=0 or LINE=1`);
  return [match[1], match[2] === '1' ? 1 : 0];
}

/** Runs a command to its end, with this one's terminal; what stops this one stops it. Resolves with its status. */
export function runCommand(
  program: string,
  args: readonly string[],
  { stop, diagnostics, env }: Invocation,
): Promise<number> {
  const refusal = refusalOf(program, env);
  if (refusal) {
    diagnostics.fail(refusal.text);
    return Promise.resolve(refusal.status);
  }
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'inherit', env });
    stop.addEventListener('abort', () => {
      if (stop.reason instanceof Stopped) child.kill(stop.reason.signal);
    });
    child.once('error', (error) => {
      if (child.pid !== undefined) return; // a signal that could not be sent: it has ended already
      diagnostics.fail(`${program}: expected a command that can be started: ${reasonOf(error)}`);
      resolve(EXIT_CANNOT_START);
    });
    child.once('exit', (status, signal) => resolve(signal ? exitStatusOfSignal(signal) : (status ?? 0)));
  });
}
