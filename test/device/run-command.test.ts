import { closeSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunOptions, runCommand } from '../../src/device/run-command.ts';
import { openPty } from '../../src/native/pty.ts';
import { readTtySettings } from '../../src/native/termios.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'command-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A lease whose tty is asked by the same call that the real one uses. */
function optionsFor(ttyFd: number, said: string[]): RunOptions {
  const hungUpTty = (): string | undefined => {
    try {
      readTtySettings(ttyFd);
      return undefined;
    } catch {
      return 'tty0';
    }
  };
  return {
    custody: { guard: { know: () => {}, pid: undefined }, hungUpTty, maxLeaseMs: Number.POSITIVE_INFINITY },
    signals: { relayTo: () => ({ [Symbol.dispose]: () => {} }) },
    graceMs: 200,
    say: (text) => said.push(text),
    unplugPatienceMs: 100,
  };
}

const shell = (script: string): { program: string; args: string[]; env: NodeJS.ProcessEnv } => ({
  program: 'sh',
  args: ['-c', script],
  env: { PATH: process.env['PATH'] },
});

test.each([
  ['obeys', '', 'hup\n'],
  ['does not obey', 'trap "" TERM; n=0; while :; do sleep 0.1; done', 'hup\n'],
])(
  'a command that does not notice that its tty is gone gets HUP, then KILL when it %s',
  async (_how, rest, expected) => {
    const { masterFd, ttyFd } = openPty();
    const log = join(folder, 'log');
    const said: string[] = [];
    const script = `exec 2> /dev/null; trap 'echo hup >> ${log}; ${rest || 'exit 0'}' HUP; while :; do sleep 0.05; done`;
    const ended = runCommand(shell(script), optionsFor(ttyFd, said));
    closeSync(masterFd);
    expect(await ended).toMatchObject({ cause: 'unplugged', detail: 'tty0' });
    expect(readFileSync(log, 'utf8')).toBe(expected);
    expect(said).toEqual(['tty0: went away while the command runs']);
    closeSync(ttyFd);
  },
);

test('a program that the system cannot start is no end of a command', async () => {
  const { masterFd, ttyFd } = openPty();
  const line = { program: join(folder, 'none'), args: [], env: {} };
  expect(await runCommand(line, optionsFor(ttyFd, []))).toMatchObject({
    status: 127,
    cause: 'not started',
    detail: expect.stringContaining('ENOENT'),
  });
  for (const fd of [masterFd, ttyFd]) closeSync(fd);
});
