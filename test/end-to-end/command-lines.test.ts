/** What all commands have in common on their command lines. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, runCommand } from '../peers/running-lab.ts';

const COMMANDS = ['sai', 'sai-device', 'sai-expect', 'sai-jig', 'sai-logproxy', 'sai-virtual-lab'];
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

const run = (command: string, ...args: string[]) =>
  runCommand(join(ROOT, 'bin', command), args, { env: { PATH: process.env['PATH'] } });

describe.each(COMMANDS)('%s', (command) => {
  test('tells its version, and in its help how', async () => {
    expect(await run(command, '--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
    expect((await run(command, '--help')).stdout).toMatch(/^ +--version +show the version of sai-rig$/m);
  });

  test.each(['--help', '--version'])('refuses an unknown option beside %s', async (asked) => {
    expect(await run(command, '--bogus', asked)).toEqual({
      status: 64,
      stdout: '',
      stderr: `${command}: unknown option '--bogus'; see ${command} --help\n`,
    });
  });
});

test.each([
  ['sai-virtual-lab', ['up', '--bogus', '--help'], "unknown option '--bogus'"],
  ['sai', ['jig', 'run', '--bogus', '-h'], "unknown option '--bogus'"],
  ['sai-logproxy', ['show', '--bogus', '--help'], "unknown option '--bogus'"],
  ['sai-expect', ['--driver', 'x'], '--driver: expected one of tty, serialport, got "x"'],
  ['sai-expect', ['--baud', 'x'], '--baud: expected a baud rate such as 115200, got "x"'],
  ['sai-expect', ['--tty'], '--tty: expected <which>, got nothing'],
  ['sai-expect', ['ready'], 'expected no arguments besides options, got 1'],
  ['sai-logproxy', ['show', 'a', 'b'], 'expected at most 1 argument, got 2'],
  ['sai-logproxy', ['show'], 'expected <dir>, got none'],
])('%s %j is refused in our own words', async (command, args, text) => {
  const { status, stdout, stderr } = await run(command, ...args);
  expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
  expect(stderr).toBe(`${command}: ${text}; see ${command} --help\n`);
});

test.each(['--help', '-h'])(
  'the test command tells with %s how it is used, and runs nothing',
  async (asked) => {
    const outcome = await runCommand(process.execPath, [join(ROOT, 'scripts/test.mjs'), asked], {
      env: { PATH: '' },
    });
    expect(outcome).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^Usage: npm test \[-- /) as string,
      stderr: '',
    });
  },
);
