/** The built `sai-expect` against firmware that nobody here wrote: one boot of each board, and what people do with it. */

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { needsBoard } from '../peers/needs.ts';
import { type Outcome, type RunningLab, runCommand, startLab } from '../peers/running-lab.ts';

function expectOn(type: string, lab: RunningLab, ...steps: string[]): Promise<Outcome> {
  const env = { ...lab.env, SAI_EXPECT_PASSWORD: 'sai' };
  return runCommand('sai-device', ['--quiet', type, 'sai-expect', '--timeout', '60s', ...steps], { env });
}

const passed = { status: 0, stdout: '', stderr: '' };

test('U-Boot is stopped on its way, answers, and is reset by the jig', {
  timeout: 60_000,
}, async (context) => {
  needsBoard(context, 'u-boot');
  const lab = await startLab('held by a jig', ['u-boot']);
  const on = (...steps: string[]): Promise<Outcome> => expectOn('u-boot', lab, ...steps);
  const stopAutoboot = ['--expect', 'Hit any key to stop autoboot:  2 ', '--send', ' ', '--expect', '=> '];

  // What it said before the lease.
  expect(await on(...stopAutoboot)).toEqual(passed);
  expect(
    await on(
      ...['--line', 'version', '--regex', '^U-Boot 20\\d\\d\\.\\d\\d', '--expect', '\r\n=> '],
      ...['--line', 'bdinfo', '--regex', '^baudrate += 115200 bps$', '--expect', '\r\n=> '],
    ),
  ).toEqual(passed);
  expect(
    await on('--line', 'echo stale', '--jig', 'reset', '--regex', '^U-Boot 20', ...stopAutoboot),
  ).toEqual(passed);

  expect(await on('--jig', 'reset')).toEqual(passed);
  expect(await on('--script', '@u-boot-stop')).toEqual(passed);

  // The seconds are drawn over each other, on a line that does not end before the last one is over.
  const tooSoon = await on(
    '--jig',
    'reset',
    '--expect',
    'autoboot',
    '--expect',
    '\r\n=> ',
    '--timeout',
    '1s',
  );
  expect(tooSoon.status).toBe(1);
  expect(tooSoon.stderr).toMatch(
    /expected "\\r\\n=> "(?: within 1 s|; the whole run had 1 s, [^;]*); last lines:\n.*stop autoboot: {2}2 /s,
  );
  expect(await on('--expect', '\\x08\\x08\\x08 0', '--regex', '^.*\n', '--expect', '=> ')).toEqual(passed);
  await takesImage(on, lab);
});

/** U-Boot's own CRC of what it has taken is the oracle. */
async function takesImage(
  on: (...steps: string[]) => Promise<Outcome>,
  { folder }: RunningLab,
): Promise<void> {
  if (spawnSync('sh', ['-c', 'command -v sb']).status !== 0) return;
  const image = randomBytes(20_000);
  const path = join(folder, 'image.bin');
  writeFileSync(path, image);
  const checksum = crc32(image).toString(16).padStart(8, '0');
  expect(
    await on(
      ...['--line', 'loady 0x42000000', '--expect', 'bps...', '--ysend', path],
      ...['--expect', '## Total Size      = 0x00004e20 = 20000 Bytes', '--expect', '=> '],
      ...['--line', 'crc32 0x42000000 0x4e20', '--expect', `==> ${checksum}`, '--expect', '=> '],
    ),
  ).toEqual(passed);
}

test('MicroPython runs what it is given, and keeps it', { timeout: 180_000 }, async (context) => {
  needsBoard(context, 'microbit');
  const lab = await startLab('held by a jig', ['microbit']);
  const on = (...steps: string[]): Promise<Outcome> => expectOn('microbit', lab, ...steps);
  const execute = (code: string, printed: string): string[] => [
    ...['--send', `${code}\\x04`, '--expect', `OK${printed}\\x04\\x04>`],
  ];

  expect(await on('--expect', '>>> ')).toEqual(passed);
  expect(await on('--script', '@micropython-raw-repl')).toEqual(passed);
  expect(await on(...execute('print(6 * 7)', '42\\r\\n'))).toEqual(passed);
  expect(
    await on(
      ...execute('from microbit import *\nprint(pin0.read_digital())', '0\\r\\n'),
      ...['--jig', 'pin0-high', ...execute('print(pin0.read_digital())', '1\\r\\n')],
      ...['--jig', 'pin0-low', ...execute('print(pin0.read_digital())', '0\\r\\n')],
    ),
  ).toEqual(passed);

  const program = "f = open('main.py', 'w')\nf.write('print(\"main\", 6 * 7)')\nf.close()";
  expect(await on(...execute(program, ''), '--send', '\\x02', '--expect', '>>> ')).toEqual(passed);
  const runsIt = ['--regex', '^\\x00?main 42$', '--expect', '\\r\\n>>> '];
  expect(await on('--send', '\\x04', '--expect', 'soft reboot', ...runsIt)).toEqual(passed);
  expect(await on('--jig', 'reset', ...runsIt)).toEqual(passed);

  const failed = await on(
    '--eol',
    'cr',
    '--line',
    '1 // 0',
    '--expect',
    'never',
    '--fail',
    'ZeroDivisionError',
  );
  expect(failed.status).toBe(1);
  expect(failed.stderr).toContain('the board said "ZeroDivisionError", a fail text');
});

test('Linux is logged into, panics, and comes back', { timeout: 180_000 }, async (context) => {
  needsBoard(context, 'linux');
  const lab = await startLab('held by a jig', ['linux']);
  const on = (...steps: string[]): Promise<Outcome> => expectOn('linux', lab, ...steps);
  // Each prompt is a prompt once the board waits at it: what comes sooner, a login throws away.
  const logIn = [
    '--regex',
    'login: $',
    '--line',
    'root',
    '--regex',
    'Password: $',
    '--line',
    'sai',
    '--expect',
    '# ',
  ];

  expect(await on('--regex', '^\\[ +0\\.0+\\] Booting Linux', ...logIn)).toEqual(passed);
  expect(await on('--tty', 'second', '--script', '@linux-login')).toEqual(passed);

  // The kernel cuts in wherever it likes, also in the middle of a line; a whole line is an answer.
  const noise = 'while usleep 20000; do echo noise > /dev/kmsg; done & ';
  const answers = 'for i in 1 2 3 4 5 6 7 8 9; do usleep 50000; echo answer $((6 * 7)); done; kill $!';
  const answered = await on('--echo', '--line', noise + answers, '--regex', '^answer 42$', '--expect', '# ');
  expect(answered).toMatchObject({ status: 0, stderr: '' });
  expect(answered.stdout).toMatch(/\[ +\d+\.\d{6}\] noise\r\n/);

  const crashed = await on('--line', 'echo c > /proc/sysrq-trigger', '--expect', 'never');
  expect(crashed.status).toBe(1);
  expect(crashed.stderr).toMatch(
    /the board crashed \(linux\): "\[ +\d+\.\d{6}\] Kernel panic - not syncing: sysrq triggered crash" while waiting/,
  );
  expect(await on(...logIn, '--line', 'uptime', '--regex', 'up 0 min')).toEqual(passed);
});
