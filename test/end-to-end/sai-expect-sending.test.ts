/** The built `sai-expect` with ports, paces and echoes, on a pty that stands for a board. */

import { beforeEach, expect, test } from 'vitest';
import { readLineSettings } from '../../src/native/termios.ts';
import type { DutOnPty } from '../peers/dut-on-pty.ts';
import { type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
  dut = place.newDut();
  place.lease(dut.ttyPath);
});

const label = (): string => `sai-expect: tty0 (${dut.ttyPath})`;
const passed = { status: 0, signal: null, stdout: '', stderr: [] };

test('a line is sent only once the board has echoed the one before', async () => {
  dut.on('one\n', (board) => {
    expect(board.heard()).toBe('one\n');
    board.say('one\r\n');
  });
  dut.on('two\n', 'two\r\nboth');
  expect(await place.run('--wait-echo', '--send', 'one\\ntwo\\n', '--expect', 'both')).toEqual(passed);
});

test('an echo that is not what was sent fails with what came, and the next line is never sent', async () => {
  dut.say('version\r\n'); // from before: no echo
  dut.on('version\n', 'vxrsion\r\n');
  const ended = await place.run('--wait-echo', '300ms', '--line', 'version', '--line', 'reboot');
  expect(ended.status).toBe(1);
  expect(ended.stderr).toEqual([
    `${label()}: expected the echo of "version" within 300 ms, got "vxrsion\\r\\n"; last lines:`,
    'sai-expect:   | version',
    'sai-expect:   | vxrsion',
  ]);
  expect(dut.heard()).toBe('version\n');
  expect(place.findings).toMatchObject([{ verdict: 'fail', blame: 'verdict', step: '--line "version"' }]);
});

test('paced text arrives whole', async () => {
  dut.on('slowly\n', 'ok');
  expect(
    await place.run('--pace', '2ms', '--pace-line', '5ms', '--line', 'slowly', '--expect', 'ok'),
  ).toEqual(passed);
});

test('a break makes what follows fresh, and does nothing to a pty', async () => {
  dut.say('Completed: PASS');
  const ended = await place.run('--break', '10ms', '--pass', 'Completed: PASS', '--timeout', '1s');
  expect(ended.status).toBe(1);
  expect(ended.stderr).toEqual([
    expect.stringMatching(
      /: expected "Completed: PASS"(?: within 1 s|; the whole run had 1 s, [^;]*); nothing arrived since --break "10ms"; last lines:$/,
    ),
    'sai-expect:   | [before --break "10ms"] Completed: PASS',
  ]);
});

test.each([['--dtr'], ['--rts']])('%s on a tty without modem lines is a fault of the rig', async (flag) => {
  const ended = await place.run(flag, 'off', '--expect', 'x');
  expect(ended.status).toBe(74);
  expect(ended.stderr).toEqual([
    `${label()}: expected a tty that can drive DTR and RTS, this one cannot (ENOTTY); a pty has no such lines; nothing arrived`,
  ]);
});

test('a tty that takes another format is refused; stop bits and flow control it does take', async () => {
  expect(await place.run('--format', '7E1', '--expect', 'x')).toMatchObject({
    status: 74,
    stderr: [
      `${label()}: expected a tty that can do format 7E1, its driver has left it at 8N1; use another adapter or format`,
    ],
  });
  dut.say('x');
  expect(await place.run('--format', '8n2', '--flow', 'xonxoff', '--expect', 'x')).toEqual(passed);
  expect(readLineSettings(dut.ttyFd)).toEqual({ format: '8N2', flow: 'xonxoff' });
  dut.say('x');
  expect(
    await place.run('--driver', 'serialport', '--flow', 'rtscts', '--baud', '31250', '--expect', 'x'),
  ).toEqual(passed);
  expect(readLineSettings(dut.ttyFd)).toEqual({ format: '8N1', flow: 'rtscts' });
});

test.each([
  [['--format', '9N1'], /^sai-expect: --format: expected data bits \(5 to 8\).* got "9N1"$/],
  [['--dtr', 'high'], /^sai-expect: --dtr: expected on or off, got "high"$/],
  [['--break', '5'], /^sai-expect: --break: expected a duration/],
  [['--wait-echo', 'soon'], /^sai-expect: --wait-echo: expected a duration/],
  [['--ysend', '/no/such'], /^sai-expect: --ysend "\/no\/such": expected a file, cannot use it: ENOENT/],
  [
    ['--yreceive', '/dev/null'],
    /^sai-expect: --yreceive "\/dev\/null": expected a folder, found something else$/,
  ],
])('%j is refused before anything is done', async (args, text) => {
  const ended = await place.run(...args);
  expect(ended.status).toBe(64);
  expect(ended.stderr).toEqual([expect.stringMatching(text)]);
});
