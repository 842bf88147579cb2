import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { tempFolder } from '../temp-folder.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A virtual lab, as `sai-virtual-lab up` starts it, and the environment to use it by. */
export interface RunningLab {
  readonly folder: string;
  /** Of its first board, as `chip`. */
  readonly tty: string;
  readonly chip: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Up until the test is finished, where wanted with a jig that holds the board's lines for as long. */
export async function startLab(
  lines: 'free' | 'held by a jig',
  boards: readonly string[] = ['uno:uno-1'],
): Promise<RunningLab> {
  const folder = tempFolder();
  const jigPort = String(await freePort());
  const dir = join(folder, 'lab');
  const up = ['up', '--json', '--with-parent', '--dir', dir, '--jig-port', jigPort, ...boards];
  const board = JSON.parse(await firstLineOf('sai-virtual-lab', up)) as LabBoard;
  if (lines === 'held by a jig') await firstLineOf('sai-jig', ['--quiet', '--json', '--config', board.jig]);
  const runDir = join(folder, 'run');
  mkdirSync(runDir);
  const { SAI_FINDINGS: _ours, SAI_DEVICE_LEASE: _lease, ...inherited } = process.env;
  return {
    folder,
    tty: board.ttys[0],
    chip: board.chip,
    env: {
      ...inherited,
      PATH: `${join(ROOT, 'bin')}:${process.env['PATH']}`,
      SAI_DEVICES_CONF: board.devices,
      SAI_RUN_DIR: runDir,
      SIM_CHIP: board.chip,
    },
  };
}

interface LabBoard {
  readonly ttys: [string];
  readonly chip: string;
  readonly devices: string;
  readonly jig: string;
}

/** What a daemon says once it is ready; it is ended when the test is. */
async function firstLineOf(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(join(ROOT, 'bin', command), args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return line;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** How a command ended, and all that it said. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly cwd?: string },
): Promise<Outcome> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    text.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    text.stderr += chunk.toString();
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, ...text };
}
