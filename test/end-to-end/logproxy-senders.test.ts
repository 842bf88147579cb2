/** sai-expect and sai-device under sai-logproxy: what of a board and of themselves gets into the log. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readFindings } from '../../src/findings/findings-file.ts';
import { readLogFile } from '../../src/logproxy/log-reader.ts';
import type { LogRecord } from '../../src/wire/log.ts';
import { Bench } from '../peers/bench.ts';
import { CHUNKINGS, DutOnPty } from '../peers/dut-on-pty.ts';
import { Workplace } from '../peers/expect-command.ts';
import { ROOT, runCommand } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

const SAI_LOGPROXY = join(ROOT, 'bin/sai-logproxy');

const MiB = 1024 * 1024;

function recordsOf(run: string, channel: string): LogRecord[] {
  return [...readLogFile(join(run, `${channel}.sailog`), () => {})];
}

function textOf(records: readonly LogRecord[], direction: 'in' | 'out'): string {
  const bytes = records.flatMap((each) =>
    each.kind === 'bytes' && each.direction === direction ? [each.bytes] : [],
  );
  return Buffer.concat(bytes).toString('latin1');
}

function environment(dut: DutOnPty, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    PATH: `${join(ROOT, 'bin')}:${process.env['PATH']}`,
    SAI_DEVICE_TTY0: dut.ttyPath,
    SAI_RUN_DIR: tempFolder(),
    XDG_RUNTIME_DIR: tempFolder(),
    ...more,
  };
}

describe.each(CHUNKINGS)('a board that talks in %s', (chunking) => {
  test('is in the log with every byte, both ways, and with what sai-expect did', async () => {
    await using dut = new DutOnPty(chunking);
    dut.on('version\n', 'sai-uno 1.0\r\n> ');
    dut.say('boot \0\xff\r\n> ');
    const folder = tempFolder();
    const args = ['--dir', 'run', 'sai-expect', '--expect', '> ', '--line', 'version', '--expect', '> '];
    const { status } = await runCommand(SAI_LOGPROXY, args, { env: environment(dut), cwd: folder });
    expect(status).toBe(0);
    const records = recordsOf(join(folder, 'run'), 'tty0');
    expect(textOf(records, 'in')).toBe(Buffer.from('boot \0\xff\r\n> sai-uno 1.0\r\n> ').toString('latin1'));
    expect(textOf(records, 'out')).toBe('version\n');
    expect(records.every((each) => each.kind === 'bytes')).toBe(true);
    const label = `tty0 (${dut.ttyPath})`;
    expect(readFileSync(join(folder, 'run/control.log'), 'utf8').split('\n')).toEqual([
      'sai-expect: starting',
      `sai-expect: ${label}: --expect "> "`,
      `sai-expect: ${label}: --line "version"`,
      `sai-expect: ${label}: --expect "> "`,
      `sai-expect: ${label}: ${textOf(records, 'in').length} bytes read, 0 bytes lost (this tty does not count overruns)`,
      'sai-expect: passed',
      '',
    ]);
  });
});

test('a failure is in the log in the words that people see', async () => {
  await using dut = new DutOnPty();
  dut.say('Completed: FAIL\n');
  const folder = tempFolder();
  const args = ['--dir', 'run', 'sai-expect'];
  const { status, stderr } = await runCommand(SAI_LOGPROXY, args, { env: environment(dut), cwd: folder });
  expect(status).toBe(1);
  const [said] = stderr.split('\n');
  expect(readFileSync(join(folder, 'run/control.log'), 'utf8')).toContain(`${said}\n`);
});

/** sai-expect under a sai-logproxy that can be stopped, reading a board until `Completed: PASS`. */
class StoppableProxy {
  readonly folder = tempFolder();
  readonly findings = join(this.folder, 'findings');
  readonly #child;
  readonly closed;

  constructor(dut: DutOnPty, expectCommand = 'sai-expect') {
    const script = `${expectCommand}; echo $? > status`;
    this.#child = spawn(SAI_LOGPROXY, ['--dir', 'run', 'sh', '-c', script], {
      env: environment(dut, { SAI_FINDINGS: this.findings }),
      cwd: this.folder,
      stdio: 'ignore',
    });
    this.closed = once(this.#child, 'close') as Promise<[number | null]>;
    onTestFinished(async () => {
      this.#child.kill('SIGKILL');
      await this.closed;
    });
  }

  get status(): string {
    return existsSync(join(this.folder, 'status')) ? readFileSync(join(this.folder, 'status'), 'utf8') : '';
  }

  async isReading(): Promise<void> {
    await until(() => existsSync(join(this.folder, 'run/tty0.sailog')), 'the board is in the log');
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  get records(): LogRecord[] {
    return recordsOf(join(this.folder, 'run'), 'tty0');
  }

  get lostBytes(): number[] {
    return this.records.flatMap((each) => (each.kind === 'gap' ? [each.lostBytes] : []));
  }
}

describe('a log proxy that is stopped does not stop the reading of a board;', () => {
  const flood = Buffer.alloc(6 * MiB, '0123456789abcde\n');

  test('when it goes on, the gap tells exactly what is missing', async () => {
    await using dut = new DutOnPty();
    const proxy = new StoppableProxy(dut);
    dut.say('up\n');
    await proxy.isReading();
    proxy.kill('SIGSTOP');
    await dut.sayAll(flood);
    proxy.kill('SIGCONT');
    await until(() => proxy.lostBytes.length > 0, 'the gap is in the log');
    dut.say('Completed: PASS\n');
    expect(await proxy.closed).toEqual([0, null]);
    const kept = textOf(proxy.records, 'in');
    const lostBytes = proxy.lostBytes.reduce((sum, each) => sum + each, 0);
    expect(kept.length + lostBytes).toBe('up\n'.length + flood.length + 'Completed: PASS\n'.length);
    expect(kept.endsWith('Completed: PASS\n')).toBe(true);
    expect(readFindings(proxy.findings)).toEqual([]);
  });

  test('when it does not, the verdict is reached all the same, and a finding tells of the loss', async () => {
    await using dut = new DutOnPty();
    const proxy = new StoppableProxy(dut);
    dut.say('up\n');
    await proxy.isReading();
    proxy.kill('SIGSTOP');
    await dut.sayAll(flood);
    dut.say('Completed: PASS\n');
    await until(() => proxy.status !== '', 'sai-expect has ended');
    expect(proxy.status).toBe('0\n');
    const [finding, ...others] = readFindings(proxy.findings);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ tool: 'sai-expect', verdict: 'infra', blame: 'unavailable' });
    expect(finding?.evidence).toMatch(
      /^the log lacks up to \d+ bytes of tty0 \(\S+\): the log proxy does not read$/,
    );
    proxy.kill('SIGCONT');
    await proxy.closed;
    // The file itself says that its writer was cut off.
    expect(proxy.lostBytes.at(-1)).toBe(0);
  });
});

test('a log proxy that is stopped, and stdout and stderr with it, hangs no end of sai-expect', async () => {
  await using dut = new DutOnPty();
  const fill = '(while ! [ -e stopped ]; do sleep 0.05; done; exec cat /dev/zero) &';
  const proxy = new StoppableProxy(dut, `${fill} sai-expect --echo 2>&1`);
  dut.say('up\n');
  await proxy.isReading();
  proxy.kill('SIGSTOP');
  writeFileSync(join(proxy.folder, 'stopped'), '');
  await dut.sayAll(Buffer.alloc(6 * MiB, '0123456789abcde\n'));
  dut.say('Completed: PASS\n');
  await until(() => proxy.status !== '', 'sai-expect has ended');
  expect(proxy.status).toBe('0\n');
  expect(readFindings(proxy.findings)).toMatchObject([{ verdict: 'infra', blame: 'unavailable' }]);
});

test('a tty that the log has no channel for is told, with the option that gives it one', async () => {
  await using dut = new DutOnPty();
  dut.say('Completed: PASS\n');
  const folder = tempFolder();
  const args = ['--dir', 'run', '--ttys', '0', 'sai-expect'];
  const { status, stderr } = await runCommand(SAI_LOGPROXY, args, { env: environment(dut), cwd: folder });
  const line = `sai-expect: tty0 (${dut.ttyPath}): not in the log: $SAI_LOGPROXY_TTY0 is not set; sai-logproxy sets it with --ttys 1 or more\n`;
  expect({ status, isSaid: stderr.startsWith(line) }).toEqual({ status: 0, isSaid: true });
  expect(readFileSync(join(folder, 'run/control.log'), 'utf8')).toContain(line);
});

test('a log proxy that is killed costs nobody the verdict, and the rest of the log is told as lost', async () => {
  await using dut = new DutOnPty();
  const proxy = new StoppableProxy(dut);
  dut.say('up\n');
  await proxy.isReading();
  proxy.kill('SIGKILL');
  await proxy.closed;
  await dut.sayAll('more\n');
  dut.say('Completed: PASS\n');
  await until(() => proxy.status !== '', 'sai-expect has ended');
  expect(proxy.status).toBe('0\n');
  const [finding, ...others] = readFindings(proxy.findings);
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ verdict: 'infra', blame: 'unavailable' });
  expect(finding?.evidence).toMatch(
    /^the log lacks up to \d+ bytes of the remarks, up to \d+ bytes of tty0 .*: /,
  );
});

test('a proxy that is missing, dead, or no socket at all is no error and no finding', async () => {
  await using place = new Workplace();
  await using dut = new DutOnPty();
  place.lease(dut.ttyPath);
  const dead = join(place.folder, 'dead');
  const server = createServer().listen(dead);
  await once(server, 'listening');
  const kept = join(place.folder, 'kept');
  await runCommand('ln', [dead, kept], { env: process.env });
  server.close();
  for (const address of [join(place.folder, 'none'), kept, '']) {
    place.set('SAI_LOGPROXY', address);
    place.set('SAI_LOGPROXY_TTY0', address);
    dut.say('Completed: PASS\n');
    expect(await place.run()).toEqual({ status: 0, signal: null, stdout: '', stderr: [] });
  }
  expect(place.findings).toEqual([]);
});

test('an address that nobody can listen at is told, and costs nobody the verdict', async () => {
  await using place = new Workplace();
  await using dut = new DutOnPty();
  place.lease(dut.ttyPath);
  const address = join(place.folder, 'x'.repeat(100));
  const why = `${address}: expected a socket path of at most 107 bytes, got ${address.length}; use a shorter folder`;
  place.set('SAI_LOGPROXY', address);
  place.set('SAI_LOGPROXY_TTY0', address);
  dut.say('Completed: PASS\n');
  const { status, stderr } = await place.run();
  expect(status).toBe(0);
  expect(stderr).toEqual([
    `sai-expect: not in the log: $SAI_LOGPROXY: ${why}`,
    `sai-expect: tty0 (${dut.ttyPath}): not in the log: $SAI_LOGPROXY_TTY0: ${why}`,
  ]);
  expect(place.findings).toEqual([]);
});

test('sai-device tells the log for what it queues and what it got', async () => {
  await using bench = new Bench();
  const run = bench.file('log');
  const args = ['--dir', run, join(ROOT, 'bin/sai-device'), 'uno', 'sh', '-c', 'echo $SAI_LOGPROXY; exit 7'];
  const { status, stdout } = await runCommand(SAI_LOGPROXY, args, { env: bench.env });
  expect({ status, hasSocket: stdout.endsWith('/control\n') }).toEqual({ status: 7, hasSocket: true });
  expect(readFileSync(join(run, 'control.log'), 'utf8')).toBe(
    "sai-device: queueing for device compatible with 'uno'\nsai-device: acquired device 'uno1' (uno)\n",
  );
  expect(recordsOf(run, 'control').every((each) => each.kind === 'bytes')).toBe(true);
});
