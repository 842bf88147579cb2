/** The built `sai-expect` against real firmware: the virtual lab's Uno, behind a real tty. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { said, type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

const LAB = fileURLToPath(new URL('../../bin/sai-virtual-lab', import.meta.url));

let place: Workplace;
let folder: string;
let lab: ChildProcess;
let tty: string;
let chip: string;

beforeEach(async () => {
  place = workplaceOfTest();
  folder = mkdtempSync(join(tmpdir(), 'sl-'));
  const started = spawn(process.execPath, [LAB, 'up', '--json', '--dir', folder, '--with-parent'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  lab = started;
  const [line] = (await once(createInterface(started.stdout), 'line')) as [string];
  const board = JSON.parse(line) as { ttys: string[]; chip: string };
  tty = board.ttys[0] ?? '';
  chip = board.chip;
  place.lease(tty);
});

afterEach(async () => {
  const ended = once(lab, 'close');
  lab.stdin?.end();
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

async function labCommand(...args: string[]): Promise<void> {
  const child = spawn(process.execPath, [LAB, ...args, '--chip', chip], { stdio: 'inherit' });
  const [status] = (await once(child, 'close')) as [number];
  expect(status).toBe(0);
}

test('boot text, prompt, answers: a pass', async () => {
  expect(
    await place.run(
      '--regex',
      '^sai-uno 1\\.0\\.0 \\(reset: power-on\\)$',
      '--expect',
      'ready',
      '--expect',
      '> ',
      '--line',
      'echo hello',
      '--regex',
      '^hello$',
      '--expect',
      '> ',
    ),
  ).toEqual({ status: 0, signal: null, stdout: '', stderr: [] });
  expect(place.findings).toEqual([]);
});

test('a self-test that fails, silence, and a panic each say what happened', async () => {
  const selftest = ['--pass', 'Completed: PASS', '--fail', 'Completed: FAIL'];
  const passed = await place.run('--expect', '> ', '--line', 'selftest', ...selftest);
  expect(passed).toMatchObject({ status: 0, stderr: [] });

  const failed = await place.run('--expect', '> ', '--line', 'selftest broken', ...selftest);
  expect(failed.status).toBe(1);
  expect(failed.stderr[0]).toBe(
    `sai-expect: tty0 (${tty}): the board said "Completed: FAIL", a fail text, while waiting for "Completed: PASS"; last lines:`,
  );

  const silent = await place.run(
    '--fresh',
    '--line',
    'version',
    '--expect',
    'no such text',
    '--timeout',
    '1s',
  );
  expect(silent.status).toBe(1);
  expect(silent.stderr[0]).toContain(`sai-expect: tty0 (${tty}): expected "no such text"`);
  expect(silent.stderr[0]).toMatch(/(?: within 1 s|; the whole run had 1 s, [^;]*); last lines:$/);

  const crashed = await place.run('--fresh', '--line', 'panic', '--expect', 'no such text');
  expect(crashed.status).toBe(1);
  expect(crashed.stderr[0]).toMatch(
    /: the board crashed \(sai-uno\): "\*\*\* PANIC: .*" while waiting for "no such text"/,
  );
  expect(crashed.stderr.at(-1)).toMatch(/\| stack: (?:[0-9a-f]{2} ){5}[0-9a-f]{2}$/);

  expect(place.findings).toMatchObject([
    { verdict: 'fail', blame: 'verdict', device: 'uno-1', tty: `tty0 (${tty})` },
    { verdict: 'fail', blame: 'verdict', step: '--expect "no such text"' },
    { verdict: 'fail', blame: 'verdict', step: '--expect "no such text"' },
  ]);
});

test('a board that is unplugged in the middle of a step is a fault of the rig', async () => {
  const started = place.start(['-v', '--expect', '> ', '--expect', 'never', '--timeout', 'never']);
  await said(started, '--expect "never"');
  await labCommand('unplug');
  const ended = await started.ended;
  expect(ended.status).toBe(74);
  expect(ended.stderr.join('\n')).toContain(`tty0 (${tty}): the tty went away`);
  expect(place.findings).toMatchObject([{ verdict: 'infra', blame: 'hardware', device: 'uno-1' }]);
  expect(await place.run('--expect', 'x')).toMatchObject({ status: 74 });
});

test('a pass from before a reset does not pass', async () => {
  expect(await place.run('--expect', '> ', '--line', 'selftest', '--expect', 'selftest')).toMatchObject({
    status: 0,
  });
  // The self-test ends while nobody reads; then the board is reset, and hangs.
  await labCommand('reset');
  const stale = await place.run(
    ...[
      '--fresh',
      '--line',
      'hang',
      '--pass',
      'Completed: PASS',
      '--fail',
      'Completed: FAIL',
      '--timeout',
      '1s',
    ],
  );
  expect(stale.status).toBe(1);
  expect(stale.stderr[0]).toMatch(/expected "Completed: PASS"(?: within 1 s|; the whole run had 1 s)/);
});

test('two calls whose texts came in one read both pass', async () => {
  expect(await place.run('--expect', '> ', '--line', 'echo one two', '--expect', 'one')).toMatchObject({
    status: 0,
  });
  expect(await place.run('--expect', 'two')).toMatchObject({ status: 0 });
});

test('no byte of 100000 is lost or changed', async () => {
  const ended = await place.run(
    '--echo',
    '--expect',
    '> ',
    '--line',
    'spew 100000',
    '--regex',
    '^spew: sent 100000 bytes, crc32 [0-9a-f]{8}\\r?$',
    '--timeout',
    '25s',
  );
  expect(ended).toMatchObject({ status: 0, stderr: [] });
  const begin = 'spew: begin 100000\r\n';
  const bytes = ended.stdout.slice(
    ended.stdout.indexOf(begin) + begin.length,
    ended.stdout.lastIndexOf('\r\nspew: sent 100000 bytes'),
  );
  expect(bytes).toHaveLength(100_000);
  const printed = /crc32 ([0-9a-f]{8})/.exec(ended.stdout)?.[1];
  expect(crc32(Buffer.from(bytes, 'latin1')).toString(16).padStart(8, '0')).toBe(printed);
});
