/** The built `sai-expect` and lrzsz, with lrzsz in the board's place at the other end of a pty. */

import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { DutOnPty } from '../peers/dut-on-pty.ts';
import { type Workplace, workplaceOfTest } from '../peers/expect-command.ts';
import { needsProgram } from '../peers/needs.ts';
import { until } from '../until.ts';

let place: Workplace;

beforeEach((context) => {
  needsProgram(context, 'socat');
  needsProgram(context, 'rb');
  place = workplaceOfTest();
});

const passed = { status: 0, signal: null, stdout: '', stderr: [] };
const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** A board that runs a shell script on its console; not on a pty, whose last bytes lrzsz flushes away as it ends. */
async function board(script: string): Promise<void> {
  const link = join(place.folder, 'tty');
  const child = spawn('socat', [`PTY,link=${link},rawer,wait-slave,pty-interval=0.02`, `EXEC:sh board.sh`], {
    cwd: place.folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  writeFileSync(join(place.folder, 'board.sh'), `${script}\nread end\n`);
  onTestFinished(async () => {
    const ended = once(child, 'exit');
    if (child.exitCode === null && child.signalCode === null) {
      child.kill();
      await ended;
    }
  });
  await until(() => existsSync(link), 'the board has its tty');
  place.lease(link);
}

function fileOf(sizeBytes: number): string {
  const path = join(place.folder, 'fw.bin');
  writeFileSync(path, randomBytes(sizeBytes));
  return path;
}

/** That it is to give up: the shell makes the file before there is anything in it. */
async function boardHasHeard(): Promise<void> {
  const heard = join(place.folder, 'heard');
  const cancel = `${' 18'.repeat(8)}\n`;
  await until(
    () => existsSync(heard) && readFileSync(heard, 'latin1').startsWith(cancel),
    'the board has heard of it',
  );
}

test.each([0, 1, 100_000])(
  'a file of %d bytes is sent by YMODEM, and nothing around it is lost',
  async (sizeBytes) => {
    const file = fileOf(sizeBytes);
    const folder = join(place.folder, 'out');
    mkdirSync(folder);
    await board('echo "ready for ymodem"; cd out && rb -q; echo "status $?, done"');
    expect(
      await place.run('--expect', 'ready for ymodem', '--ysend', file, '--expect', 'status 0, done'),
    ).toEqual(passed);
    expect(sha256(join(folder, 'fw.bin'))).toBe(sha256(file));
  },
);

test('a file is sent by XMODEM', async () => {
  const file = fileOf(128 * 100);
  await board('echo ready; rx -q got.bin; echo "status $?, done"');
  expect(await place.run('--expect', 'ready', '--xsend', file, '--expect', 'status 0, done')).toEqual(passed);
  expect(sha256(join(place.folder, 'got.bin'))).toBe(sha256(file));
});

test('files are taken by YMODEM, over those that are there', async () => {
  const file = fileOf(50_000);
  const folder = join(place.folder, 'in');
  mkdirSync(folder);
  writeFileSync(join(folder, 'fw.bin'), 'old');
  await board('echo ready; sb -q fw.bin; echo "status $?, done"');
  expect(await place.run('--expect', 'ready', '--yreceive', folder, '--expect', 'status 0, done')).toEqual(
    passed,
  );
  expect(sha256(join(folder, 'fw.bin'))).toBe(sha256(file));
});

test('a board that cancels fails the step, in the words of lrzsz', async () => {
  await board("echo ready; printf '\\030\\030\\030\\030\\030\\030\\030\\030'; echo done");
  const ended = await place.run('--expect', 'ready', '--ysend', fileOf(1000), '--expect', 'done');
  expect(ended.status).toBe(1);
  expect(ended.stderr[0]).toMatch(/: --ysend "[^"]*fw\.bin": sb ended with status 128: /);
});

test('time that is up cancels the transfer at both ends', async () => {
  await board('echo ready; head -c 8 | od -An -tx1 > heard');
  const ended = await place.run('--expect', 'ready', '--ysend', fileOf(1000), '--timeout', '1s');
  expect(ended.status).toBe(1);
  expect(ended.stderr[0]).toMatch(
    /: expected --ysend "[^"]*" to end(?: within 1 s|; the whole run had 1 s, [^;]*); last lines:/,
  );
  await boardHasHeard();
});

describe('a script', () => {
  const script = (...steps: object[]): string => {
    const path = join(place.folder, 'flash.json');
    writeFileSync(path, JSON.stringify({ variables: { image: 'missing.bin' }, steps }));
    return path;
  };

  test('sends a file that a variable names, and takes one', async () => {
    const file = fileOf(5000);
    mkdirSync(join(place.folder, 'out'));
    mkdirSync(join(place.folder, 'in'));
    await board('echo ready; cd out; rb -q; echo "status $?, done"; sb -q fw.bin; echo "status $?, over"');
    const path = script(
      { expect: 'ready' },
      // biome-ignore lint/suspicious/noTemplateCurlyInString: scripts have variables of that form
      { ysend: '${image}', within: '20s' },
      { expect: 'status 0, done\\n' },
      { yreceive: 'in' },
      { expect: 'status 0, over' },
    );
    expect(await place.run('--script', path, '--var', 'image=fw.bin')).toEqual(passed);
    expect(sha256(join(place.folder, 'in', 'fw.bin'))).toBe(sha256(file));
  });

  test('is refused before a tty is touched where a file is missing; a plan needs none', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: scripts have variables of that form
    const path = script({ expect: 'ready' }, { xsend: '${image}' });
    const ended = await place.run('--script', path, '--tty', '/dev/not-there');
    expect(ended.status).toBe(78);
    expect(ended.stderr).toEqual([
      expect.stringMatching(
        /flash\.json:1:\d+: steps\.1\.xsend: "missing\.bin": expected a file, cannot use it/,
      ),
    ]);
    const plan = await place.run('--script', path, '--dry-run');
    expect(plan.status).toBe(0);
    expect(plan.stdout).toContain('2. send the file "missing.bin" by XMODEM\n');
  });
});

test('transfers are recorded, and come to the same end without lrzsz and files', async () => {
  const file = fileOf(3000);
  mkdirSync(join(place.folder, 'out'));
  await board('echo ready; cd out; rb -q; echo "status $?, done"');
  const args = ['--expect', 'ready', '--ysend', file, '--expect', 'status 0, done\\n'];
  const recording = join(place.folder, 'x.rec');
  expect(await place.run(...args, '--record', recording)).toEqual(passed);
  rmSync(join(place.folder, 'out'), { recursive: true });
  place.set('PATH', dirname(process.execPath));
  expect(await place.run(...args, '--replay', recording)).toEqual(passed);
  expect(existsSync(join(place.folder, 'out'))).toBe(false);
  // Steps without it are not told of each of its blocks.
  const without = await place.run('--expect', 'status 0', '--replay', recording);
  expect(without.stderr).toEqual([expect.stringMatching(/: does not do ysend, as the recording does$/)]);
});

test('a transfer that fails does so again from its recording', async () => {
  await board("echo ready; printf '\\030\\030\\030\\030\\030\\030\\030\\030'; echo done");
  const recording = join(place.folder, 'x.rec');
  const args = ['--expect', 'ready', '--ysend', fileOf(1000), '--expect', 'done'];
  const live = await place.run(...args, '--record', recording);
  expect(live.status).toBe(1);
  expect(await place.run(...args, '--replay', recording)).toEqual(live);
});

test('a board that never asks for the file is told as such', async () => {
  await board("echo ready; printf '\\030\\030\\030\\030\\030\\030\\030\\030'");
  const ended = await place.run('--expect', 'ready', '--ysend', fileOf(1000), '--expect', 'done');
  expect(ended.stderr[0]).toMatch(/; the board has not asked for the file; last lines:$/);
});

test('a tty that goes away during a transfer ends it at once, with 74', async () => {
  await board('echo ready; printf C; head -c 100 >block; kill -9 $PPID');
  const ended = await place.run('--expect', 'ready', '--ysend', fileOf(100_000));
  expect(ended.status).toBe(74);
  expect(ended.stderr[0]).toMatch(/: the tty went away .* while waiting for --ysend "[^"]*" to end/);
});

test('a transfer on a tty beside is cancelled at both ends as well', async () => {
  await using other = new DutOnPty();
  const file = fileOf(1000);
  await board('echo ready; head -c 8 | od -An -tx1 > heard');
  place.lease(other.ttyPath, join(place.folder, 'tty'));
  const script = join(place.folder, 'both.json');
  const steps = [{ parallel: { 0: [{ expect: 'never' }], 1: [{ expect: 'ready' }, { ysend: file }] } }];
  writeFileSync(script, JSON.stringify({ steps }));
  expect((await place.run('--script', script, '--timeout', '1s')).status).toBe(1);
  await boardHasHeard();
});

test('a stop during a transfer ends lrzsz as well, and tells the board', async () => {
  await board('echo ready; head -c 8 | od -An -tx1 > heard');
  const started = place.start(['-v', '--expect', 'ready', '--ysend', fileOf(1000)]);
  const children = (): string[] => {
    const listed = readFileSync(`/proc/${started.child.pid}/task/${started.child.pid}/children`, 'utf8');
    return listed.split(' ').filter((each) => each !== '');
  };
  await until(() => children().length > 0, 'lrzsz runs');
  const [pid = ''] = children();
  started.child.kill('SIGINT');
  expect((await started.ended).status).toBe(130);
  expect(readdirSync('/proc')).not.toContain(pid);
  await boardHasHeard();
});

test('without lrzsz one line says what to install', async () => {
  const bin = join(place.folder, 'bin');
  mkdirSync(bin);
  symlinkSync('/usr/bin/env', join(bin, 'env'));
  await board('echo ready');
  place.set('PATH', bin);
  const ended = await place.run('--expect', 'ready', '--ysend', fileOf(10));
  expect(ended.status).toBe(69);
  expect(ended.stderr[0]).toContain(
    'expected the program sb, found none; install it with: apt-get install lrzsz',
  );
});
