import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { statIfVisible } from '../../src/base/visible-file.ts';
import { CUSTODY_OF_TREE, type RunOptions, runCommand } from '../../src/device/run-command.ts';
import type { KeeperHandlers, Trouble } from '../../src/device/tty-keeper.ts';
import { until } from '../until.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'command-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const options: RunOptions = {
  custody: CUSTODY_OF_TREE,
  signals: { relayTo: () => ({ [Symbol.dispose]: () => {} }) },
  session: 'new',
  graceMs: 200,
  say: () => {},
};

const trouble: Trouble = {
  device: 'uno1',
  tty: '/dev/ttyUSB0',
  error: new RigError('hardware', 'gone'),
  signal: 'SIGHUP',
};

const shell = (script: string): { program: string; args: string[]; env: NodeJS.ProcessEnv } => ({
  program: 'sh',
  args: ['-c', script],
  env: { PATH: process.env['PATH'] },
});

test.each([
  ['obeys', '', 'hup\n'],
  ['does not obey', 'trap "" TERM; n=0; while :; do sleep 0.1; done', 'hup\n'],
])('a command whose tty is gone gets HUP, then KILL when it %s', async (_how, rest, expected) => {
  const log = join(folder, 'log');
  const up = join(folder, 'up');
  const script = `exec 2> /dev/null; trap 'echo hup >> ${log}; ${rest || 'exit 0'}' HUP; touch ${up}; while :; do sleep 0.05; done`;
  let handlers: KeeperHandlers | undefined;
  const keeper = { start: (each: KeeperHandlers) => (handlers = each), conclude: () => undefined };
  const ended = runCommand(shell(script), { ...options, custody: { ...CUSTODY_OF_TREE, keeper } });
  await until(() => statIfVisible(up) !== undefined, 'the command is up');
  handlers?.onTrouble(trouble);
  expect(await ended).toMatchObject({ cause: 'trouble', trouble });
  expect(readFileSync(log, 'utf8')).toBe(expected);
});

test('a program that the system cannot start is no end of a command', async () => {
  const line = { program: join(folder, 'none'), args: [], env: {} };
  expect(await runCommand(line, options)).toMatchObject({
    status: 127,
    cause: 'not started',
    detail: expect.stringContaining('ENOENT'),
  });
});
