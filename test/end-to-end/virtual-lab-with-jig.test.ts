/** `sai-virtual-lab up` with a jig, and with a command that has the boards. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { ROOT, runCommand } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';

const COMMAND = join(ROOT, 'bin/sai-virtual-lab');

let folder: string;
let dir: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = tempFolder();
  dir = join(folder, 'lab');
  const runDir = join(folder, 'run');
  mkdirSync(runDir);
  env = { PATH: `${join(ROOT, 'bin')}:${process.env['PATH']}`, SAI_RUN_DIR: runDir };
});

const up = (...args: string[]) => runCommand(COMMAND, ['up', '--dir', dir, ...args], { env });

test('a command finds the boards and their jig, and its status is that of the lab, which ends with it', async () => {
  const steps = 'sai-device uno sai-expect --jig reset --expect ready';
  const outcome = await up('--with-jig', 'uno', '--', 'sh', '-c', `${steps} && echo "$SIM_CHIP" && exit 3`);
  expect(outcome, outcome.stderr).toMatchObject({ status: 3, stdout: `${join(dir, 'uno-1.chip')}\n` });
  expect(outcome.stderr).toMatch(
    /^sai-virtual-lab: uno-1 runs behind .*\/uno-1\.tty0\nsai-virtual-lab: a jig holds the lines, at http:\/\/127\.0\.0\.1:\d+\/uno-1\n/,
  );
  expect(existsSync(dir)).toBe(false);
});

test('a command without a jig has the boards alone', async () => {
  expect(await up('--', 'sai-device', 'uno', 'sai-expect', '--jig', 'reset')).toMatchObject({
    status: 78,
    stderr: expect.stringMatching(/expected the device to have a jig, found none; .*--with-jig/) as string,
  });
});

test('the jig is told of where a lab is, and what only a driver of the lines could do is not', async () => {
  const { shown } = await startLab();
  expect(shown).toMatch(/^ {2}sai jig run reset --url http:\/\/127\.0\.0\.1:\d+\/uno-1$/m);
  expect(shown).not.toContain('sai-virtual-lab reset');
});

test('a lab that is killed takes its jig along', async () => {
  const { lab, jigPid } = await startLab();
  lab.kill('SIGKILL');
  await expect.poll(() => isRunning(jigPid)).toBe(false);
});

test('a lab ends, and says why, when its jig does', async () => {
  const { lab, jigPid, said } = await startLab();
  process.kill(jigPid, 'SIGKILL');
  expect(await once(lab, 'close')).toEqual([69, null]);
  expect(said()).toBe(
    `sai-virtual-lab: ${join(dir, 'jig.json')}: expected its sai-jig to run, it ended with SIGKILL\n`,
  );
});

test.each([
  [['--'], '--: expected a command after it, got none; see sai-virtual-lab --help'],
  [['--with-parent', '--', 'true'], '--with-parent: expected no command, its stdin is that of the lab'],
])('up %j is refused', async (args, text) => {
  expect(await up(...args)).toEqual({ status: 64, stdout: '', stderr: `sai-virtual-lab: ${text}\n` });
});

/** One with a jig, up until the test is finished. */
async function startLab(): Promise<{ lab: ChildProcess; jigPid: number; shown: string; said: () => string }> {
  const lab = spawn(COMMAND, ['up', '--dir', dir, '--with-jig'], { env });
  const closed = once(lab, 'close');
  onTestFinished(async () => {
    lab.kill('SIGTERM');
    await closed;
  });
  let said = '';
  lab.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  let shown = '';
  for await (const line of createInterface(lab.stdout)) {
    shown += `${line}\n`;
    if (line.startsWith('Ctrl-C')) break;
  }
  const jigPid = Number(readdirSync('/proc').find((pid) => commandOf(pid).includes(join(dir, 'jig.json'))));
  return { lab, jigPid, shown, said: () => said };
}

function commandOf(pid: string): string {
  try {
    return /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
  } catch {
    return ''; // it has ended meanwhile
  }
}

function isRunning(pid: number): boolean {
  return commandOf(String(pid)) !== '';
}
