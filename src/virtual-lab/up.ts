import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RigError } from '../base/errors.ts';
import { type Invocation, Stopped } from '../base/run-main.ts';
import { stdinEnd } from '../base/stdin-end.ts';
import { ENV } from '../wire/env.ts';
import type { LabBoard } from './board.ts';
import { boardType, parseBoardRequests } from './board-types.ts';
import { runCommand } from './drive.ts';
import { freePort, JigProcess } from './jig-process.ts';
import { Lab } from './lab.ts';

export interface UpOptions {
  readonly dir?: string;
  readonly json?: boolean;
  readonly withParent?: boolean;
  readonly jigPort?: string;
  readonly withJig?: boolean;
}

/** `sai-virtual-lab up`: boards until told to stop, or until a command that has them ends. */
export async function up(
  words: readonly string[],
  options: UpOptions & { readonly command: readonly string[] },
  invocation: Invocation,
): Promise<number> {
  const { env, stop } = invocation;
  const [program, ...args] = options.command;
  if (program !== undefined && options.withParent)
    throw new RigError('usage', '--with-parent: expected no command, its stdin is that of the lab');
  const requests = parseBoardRequests(words.length > 0 ? words : ['uno:uno-1']);
  const jigPort = portOf(options.jigPort) ?? (options.withJig ? await freePort() : undefined);
  await using lab = await Lab.start(options.dir ?? defaultDir(env), requests, { jigPort, env, stop });
  const [first] = lab.boards;
  await using jig = options.withJig && first ? await JigProcess.start(first.jig, env, stop) : undefined;
  const served = jigPort === undefined ? undefined : { port: jigPort, runs: jig !== undefined };
  const broken = Promise.race([lab.broken, ...(jig ? [jig.broken] : [])]);
  if (options.json) invocation.print(jsonLines(lab.boards));
  if (program !== undefined && first) {
    for (const { board, ttys } of lab.boards)
      invocation.diagnostics.say(`${board} runs behind ${ttys.join(', ')}`);
    if (jig)
      invocation.diagnostics.say(`a jig holds the lines, at http://127.0.0.1:${jigPort}/${first.board}`);
    return await runAmong(first, [program, ...args], broken, invocation);
  }
  if (!options.json) invocation.print(whatToTry(lab.boards, served));
  const ends = [aborted(stop), ...(options.withParent ? [stdinEnd()] : [])];
  const error = await Promise.race([broken, ...ends]);
  if (error) throw error;
  return 0;
}

/** Runs a command that finds the boards; one that breaks ends it. Resolves with its status. */
async function runAmong(
  first: LabBoard,
  [program, ...args]: readonly [string, ...string[]],
  broken: Promise<RigError>,
  invocation: Invocation,
): Promise<number> {
  const end = new AbortController();
  let trouble: RigError | undefined;
  void broken.then((error) => {
    trouble = error;
    end.abort(new Stopped('SIGTERM'));
  });
  const status = await runCommand(program, args, {
    ...invocation,
    env: { ...invocation.env, [ENV.devicesConfig]: first.devices, SIM_CHIP: first.chip },
    stop: AbortSignal.any([invocation.stop, end.signal]),
  });
  if (trouble) throw trouble;
  return status;
}

/** The port on which a jig will serve the boards' lines, if one will. */
function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new RigError('usage', `--jig-port: expected a number from 1 to 65535, got ${JSON.stringify(text)}`);
}

function defaultDir(env: NodeJS.ProcessEnv): string {
  const runtimeDir = env['XDG_RUNTIME_DIR'];
  if (runtimeDir) return join(runtimeDir, 'sai-virtual-lab');
  return join(tmpdir(), `sai-virtual-lab-${process.getuid?.()}`);
}

function jsonLines(boards: readonly LabBoard[]): string {
  return boards.map((board) => `${JSON.stringify(board)}\n`).join('');
}

/** The jig that serves the boards, or will. */
interface Served {
  readonly port: number;
  readonly runs: boolean;
}

function whatToTry(boards: readonly LabBoard[], served: Served | undefined): string {
  const lines = boards.flatMap(({ board, type, ttys, chip }) => [
    `${board} (${type}) runs`,
    ...ttys.map(
      (tty, index) => `  ${(boardType(type).ttys[index]?.name ?? 'tty').padEnd(8)} ${tty}  115200 baud`,
    ),
    `  lines    ${chip}`,
  ]);
  const [first] = boards;
  const tries = first ? [...exportsOf(first), ...boardType(first.type).tries(first)] : [];
  // The lines are the jig's alone.
  const possible = tries.filter((line) => !served?.runs || !/^sai-(?:virtual-lab|jig) /.test(line));
  return [
    ...lines,
    'Try, in another terminal:',
    ...possible.map((line) => `  ${line}`),
    ...(first && served ? jigLines(first, served) : []),
    'Ctrl-C ends it.\n',
  ].join('\n');
}

/** What makes `sai-device` find the boards, and `sai-virtual-lab` the first of them. */
function exportsOf({ devices, chip }: LabBoard): string[] {
  return [`export SAI_DEVICES_CONF=${devices}`, `export SIM_CHIP=${chip}`];
}

function jigLines({ board, jig }: LabBoard, { port, runs }: Served): string[] {
  const ask = `  sai jig run reset --url http://127.0.0.1:${port}/${board}`;
  if (runs) return [ask];
  return [
    'Or let a jig hold the lines, in a terminal of its own:',
    `  sai-jig --config ${jig}`,
    'and ask it instead:',
    ask,
  ];
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined));
  });
}
