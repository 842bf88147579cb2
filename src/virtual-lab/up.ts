import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import type { LabBoard } from './board.ts';
import { boardType, parseBoardRequests } from './board-types.ts';
import { Lab } from './lab.ts';

export interface UpOptions {
  readonly dir?: string;
  readonly json?: boolean;
  readonly withParent?: boolean;
  readonly jigPort?: string;
}

/** `sai-virtual-lab up`: boards until told to stop. */
export async function up(
  words: readonly string[],
  options: UpOptions,
  invocation: Invocation,
): Promise<number> {
  const requests = parseBoardRequests(words.length > 0 ? words : ['uno:uno-1']);
  const jigPort = portOf(options.jigPort);
  await using lab = await Lab.start(options.dir ?? defaultDir(invocation.env), requests, {
    jigPort,
    env: invocation.env,
    stop: invocation.stop,
  });
  invocation.print(options.json ? jsonLines(lab.boards) : whatToTry(lab.boards, jigPort));
  const ends = [aborted(invocation.stop)];
  if (options.withParent) ends.push(stdinEnd());
  const broken = await Promise.race([lab.broken, ...ends]);
  if (broken) throw broken;
  return 0;
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

function whatToTry(boards: readonly LabBoard[], jigPort: number | undefined): string {
  const lines = boards.flatMap(({ board, type, ttys, chip }) => [
    `${board} (${type}) runs`,
    ...ttys.map(
      (tty, index) => `  ${(boardType(type).ttys[index]?.name ?? 'tty').padEnd(8)} ${tty}  115200 baud`,
    ),
    `  lines    ${chip}`,
  ]);
  const [first] = boards;
  const tries = first ? [...exportsOf(first), ...boardType(first.type).tries(first)] : [];
  const served = first && jigPort !== undefined ? jigLines(first, jigPort) : [];
  return [
    ...lines,
    'Try, in another terminal:',
    ...tries.map((line) => `  ${line}`),
    ...served,
    'Ctrl-C ends it.\n',
  ].join('\n');
}

/** What makes `sai-device` find the boards, and `sai-virtual-lab` the first of them. */
function exportsOf({ devices, chip }: LabBoard): string[] {
  return [`export SAI_DEVICES_CONF=${devices}`, `export SIM_CHIP=${chip}`];
}

function jigLines({ board, jig }: LabBoard, port: number): string[] {
  return [
    'Or let a jig hold the lines, in a terminal of its own:',
    `  sai-jig --config ${jig}`,
    'and ask it instead:',
    `  sai jig run reset --url http://127.0.0.1:${port}/${board}`,
  ];
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined));
  });
}

function stdinEnd(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close', 'error']) process.stdin.once(event, () => resolve(undefined));
    process.stdin.resume();
  });
}
