import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readProcess } from '../../src/base/process-table.ts';
import { readLogFile } from '../../src/logproxy/log-reader.ts';
import type { LogRecord } from '../../src/wire/log.ts';
import { needsProgram } from '../peers/needs.ts';
import { type Outcome, ROOT, runCommand } from '../peers/running-lab.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { NO_SMALL_DISK, remount, smallDisk } from '../peers/small-disk.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

const SAI_LOGPROXY = join(ROOT, 'bin/sai-logproxy');

const MiB = 1024 * 1024;

/** A scratch folder, and how sai-logproxy is run in it. */
class Scratch {
  readonly folder = tempFolder();
  readonly sockets = join(this.folder, 'sock');
  readonly run = join(this.folder, 'run');

  constructor() {
    mkdirSync(this.sockets);
  }

  get env(): NodeJS.ProcessEnv {
    return {
      PATH: `${join(ROOT, 'bin')}:${process.env['PATH']}`,
      XDG_RUNTIME_DIR: this.sockets,
      RUN: this.run,
      TZ: 'UTC',
    };
  }

  async logproxy(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    return await runCommand(SAI_LOGPROXY, args, { env: { ...this.env, ...env }, cwd: this.folder });
  }

  /** Runs a shell script under it, its log in `run`. */
  async script(script: string, ...flags: readonly string[]): Promise<Outcome> {
    return await this.logproxy(['--dir', 'run', ...flags, '--', 'sh', '-c', script]);
  }

  start(
    script: string,
    stdout: 'ignore' | 'pipe' = 'ignore',
  ): { child: ChildProcess; closed: Promise<[number | null, NodeJS.Signals | null]> } {
    const args = ['--dir', 'run', '--', 'sh', '-c', script];
    const child = spawn(SAI_LOGPROXY, args, {
      env: this.env,
      cwd: this.folder,
      stdio: ['ignore', stdout, 'ignore'],
    });
    const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await closed;
    });
    return { child, closed };
  }

  plain(channel: string): string {
    return readFileSync(join(this.run, `${channel}.log`), 'latin1');
  }

  records(channel: string): { records: LogRecord[]; torn: number } {
    let torn = 0;
    const records = [
      ...readLogFile(join(this.run, `${channel}.sailog`), (bytes) => {
        torn = bytes;
      }),
    ];
    return { records, torn };
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe('a command', () => {
  test('decides the status; what it prints passes untouched and is kept', async () => {
    const scratch = new Scratch();
    const outcome = await scratch.script('echo out; echo err > /dev/stderr; exit 3');
    expect(outcome).toEqual({
      status: 3,
      stdout: 'out\n',
      stderr: 'err\nsai-logproxy: run: stdout.log 4 bytes, stderr.log 4 bytes\n',
    });
    expect(scratch.plain('stdout') + scratch.plain('stderr')).toBe('out\nerr\n');
    expect(readdirSync(scratch.run).sort()).toEqual([
      'run.json',
      'stderr.log',
      'stderr.sailog',
      'stdout.log',
      'stdout.sailog',
    ]);
    expect(readdirSync(scratch.sockets)).toEqual([]);
  });

  test('finds a socket for each channel, and none of an outer log', async () => {
    const scratch = new Scratch();
    const { stdout } = await scratch.logproxy(
      ['-q', '--ttys', '2', 'sh', '-c', 'env | grep ^SAI_LOGPROXY | sort'],
      { SAI_LOGPROXY_TTY7: '/outer' },
    );
    const folder = /^SAI_LOGPROXY=(.*)\/control$/m.exec(stdout)?.[1];
    expect(folder).toContain(scratch.sockets);
    expect(stdout.split('\n')).toEqual([
      `SAI_LOGPROXY=${folder}/control`,
      `SAI_LOGPROXY_JIG=${folder}/jig`,
      `SAI_LOGPROXY_TTY0=${folder}/tty0`,
      `SAI_LOGPROXY_TTY1=${folder}/tty1`,
      '',
    ]);
  });

  test.each([
    ['./none', 127, 'sai-logproxy: ./none: command not found\n'],
    ['./notes', 126, 'sai-logproxy: ./notes: cannot be started: not executable\n'],
  ])('that cannot be started, %s, leaves nothing behind', async (program, status, stderr) => {
    const scratch = new Scratch();
    writeFileSync(join(scratch.folder, 'notes'), 'no program');
    const findings = join(scratch.folder, 'findings');
    const outcome = await scratch.logproxy(['--dir', 'deep/run', program], { SAI_FINDINGS: findings });
    expect(outcome).toEqual({ status, stdout: '', stderr });
    expect(readFileSync(findings, 'utf8')).toContain('"verdict":"fail","blame":"usage"');
    expect(readdirSync(scratch.folder).sort()).toEqual(['findings', 'notes', 'sock']);
    expect(readdirSync(scratch.sockets)).toEqual([]);
  });

  test('that is not found stays that, also when the finding cannot be written', async () => {
    const scratch = new Scratch();
    const findings = join(scratch.folder, 'none/findings');
    const outcome = await scratch.logproxy(['--dir', 'run', 'no-such'], { SAI_FINDINGS: findings });
    expect(outcome).toEqual({
      status: 127,
      stdout: '',
      stderr: `sai-logproxy: no-such: command not found\nsai-logproxy: ${findings}: cannot append a finding: ENOENT\n`,
    });
  });

  test('finds its sockets from whatever folder it goes to', async () => {
    const scratch = new Scratch();
    const script = ['sh', '-c', 'cd / && test -S "$SAI_LOGPROXY"'];
    const env = { XDG_RUNTIME_DIR: '', TMPDIR: 'sock' };
    expect((await scratch.logproxy(['--dir', 'run', ...script], env)).status).toBe(0);
  });

  test('that is killed gives 128 and its signal', async () => {
    expect((await new Scratch().script('kill -KILL $$')).status).toBe(137);
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('gets %s, and its last words are kept', async (signal, status) => {
    const scratch = new Scratch();
    const { child, closed } = scratch.start(
      'trap "echo last words; exit 0" TERM INT HUP; echo up; while :; do sleep 0.05; done',
    );
    await until(() => existsSync(join(scratch.run, 'stdout.log')), 'the command is up');
    child.kill(signal);
    expect(await closed).toEqual([status, null]);
    expect(scratch.plain('stdout')).toBe('up\nlast words\n');
  });

  test('that leaves a daemon behind does not keep the log open', async () => {
    const scratch = new Scratch();
    const { status, stderr } = await scratch.script('sleep 1000 & echo $!');
    process.kill(Number(scratch.plain('stdout')), 'SIGKILL');
    expect(status).toBe(0);
    expect(stderr).toContain(
      'sai-logproxy: 2 writers went on when the command had ended; what they write now is not kept\n',
    );
  });
});

test('runs that name no folder have one each, also in the same second', async () => {
  const scratch = new Scratch();
  const outcomes = await Promise.all([1, 2, 3].map(() => scratch.logproxy(['true'])));
  expect(outcomes.map(({ status }) => status)).toEqual([0, 0, 0]);
  expect(readdirSync(scratch.folder).filter((name) => name.startsWith('sai-log-'))).toHaveLength(3);
});

test('the sockets of a run that was killed are gone after the next', async () => {
  const scratch = new Scratch();
  const { child, closed } = scratch.start('while echo up; do sleep 0.05; done');
  await until(() => existsSync(join(scratch.run, 'stdout.log')), 'the command is up');
  child.kill('SIGKILL');
  await closed;
  expect(readdirSync(scratch.sockets)).toHaveLength(1);
  expect((await scratch.logproxy(['--dir', 'next', 'true'])).status).toBe(0);
  expect(readdirSync(scratch.sockets)).toEqual([]);
});

describe('what programs write to the sockets', () => {
  test('100 MB of raw bytes into each of four at once, are kept byte for byte', {
    timeout: 120_000,
  }, async (context) => {
    needsProgram(context, 'socat');
    const scratch = new Scratch();
    const sums: string[] = [];
    for (let index = 0; index < 4; index++) {
      const blob = join(scratch.folder, `blob${index}`);
      spawnSync('sh', ['-c', `head -c ${100 * MiB} /dev/urandom > ${blob}`]);
      sums.push(await sha256(blob));
    }
    const writers = sums.map(
      (_, index) => `socat -u OPEN:blob${index} UNIX-CONNECT:$SAI_LOGPROXY_TTY${index} &`,
    );
    const { status } = await scratch.script(`${writers.join('\n')}\nwait`);
    expect(status).toBe(0);
    const kept: string[] = [];
    for (let index = 0; index < 4; index++) kept.push(await sha256(join(scratch.run, `tty${index}.log`)));
    expect(kept).toEqual(sums);
    const { records, torn } = scratch.records('tty3');
    const bytes = records.reduce((sum, each) => sum + (each.kind === 'bytes' ? each.bytes.length : 0), 0);
    expect({ bytes, torn, gaps: records.filter((each) => each.kind === 'gap').length }).toEqual({
      bytes: 100 * MiB,
      torn: 0,
      gaps: 0,
    });
  });

  test('one byte at a time, by a program that knows only sockets, is kept with rising times', async (context) => {
    needsProgram(context, 'python3');
    const scratch = new Scratch();
    const program = join(scratch.folder, 'writer.py');
    writeFileSync(
      program,
      'import os, socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(os.environ["SAI_LOGPROXY_TTY1"])\nfor b in b"\\0U-Boot\\r\\n\\xff" * 500: s.send(bytes([b]))\n',
    );
    await scratch.script(`python3 ${program}`);
    expect(scratch.plain('tty1')).toBe('\0U-Boot\r\n\xff'.repeat(500));
    const times = scratch.records('tty1').records.map((each) => each.monotonicNs);
    expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
  });

  test('by more writers than there are descriptors for, is kept, or marked as a gap and said', async (context) => {
    needsProgram(context, 'python3');
    const scratch = new Scratch();
    const program = join(scratch.folder, 'writers.py');
    writeFileSync(
      program,
      'import os, socket, time\nall = []\nfor n in range(60):\n s = socket.socket(socket.AF_UNIX)\n s.connect(os.environ["SAI_LOGPROXY_TTY0"])\n all.append(s)\n try: s.send(b"line\\n")\n except BrokenPipeError: pass\ntry: all[-1].recv(1) # until it is turned away\nexcept ConnectionResetError: pass\n',
    );
    const { env, folder: cwd } = scratch;
    const command = `ulimit -n 100; exec sai-logproxy --dir run python3 ${program}`;
    const { status, stderr } = await runCommand('bash', ['-c', command], { env, cwd });
    expect(status).toBe(0);
    const kept = scratch.plain('tty0').length / 'line\n'.length;
    const gaps = scratch.records('tty0').records.filter((each) => each.kind === 'gap').length;
    const said = stderr.split('\n').filter((line) => line.includes('a writer was turned away')).length;
    expect(kept).toBeGreaterThan(0);
    expect(gaps).toBeGreaterThan(0);
    expect({ all: kept + gaps, said }).toEqual({ all: 60, said: gaps });
  });

  test('is shown merged, and again by show', async (context) => {
    needsProgram(context, 'socat');
    const scratch = new Scratch();
    const talk = 'echo hello | socat -u - UNIX:$SAI_LOGPROXY_TTY0; echo done; echo oops >&2';
    const { stdout, stderr } = await scratch.script(talk, '--merged');
    const withoutTimes = (text: string): string[] =>
      text.split('\n').map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3}/, 'TIME'));
    const lines = ['TIME tty0    | hello', 'TIME stdout  | done', 'TIME stderr  | oops', ''];
    expect(withoutTimes(stdout).sort()).toEqual([...lines].sort());
    expect(stderr).toBe('sai-logproxy: run: stdout.log 5 bytes, stderr.log 5 bytes, tty0.log 6 bytes\n');
    const again = await scratch.logproxy(['show', 'run']);
    expect(again).toEqual({ status: 0, stdout, stderr: '' });
    const one = await scratch.logproxy([
      'show',
      'run',
      '--channel',
      'tty0',
      '--since',
      '0s',
      '--until',
      '1h',
    ]);
    expect(withoutTimes(one.stdout)).toEqual([lines[0], '']);
    expect((await scratch.logproxy(['show', 'run', '--since', '1h'])).stdout).toBe('');
    const json = await scratch.logproxy(['show', 'run', '--json', '--channel', 'stdout']);
    expect(JSON.parse(json.stdout)).toMatchObject({ channel: 'stdout', sequence: 0, text: 'done\n' });
  });

  test('comes as JSON lines while it runs, with a summary as the last', async () => {
    const { stdout } = await new Scratch().script('echo one; exit 4', '--json');
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toEqual([
      expect.objectContaining({ channel: 'stdout', sequence: 0, writer: 0, direction: 'in', text: 'one\n' }),
      {
        folder: 'run',
        channels: [{ name: 'stdout', bytes: 4, sentBytes: 0, gaps: 0, lostBytes: 0, state: 'complete' }],
      },
    ]);
  });
});

describe('a log that cannot be kept is refused with one line before the command starts:', () => {
  const touch = ['sh', '-c', 'touch started'];

  async function refused(
    scratch: Scratch,
    args: readonly string[],
    env?: NodeJS.ProcessEnv,
  ): Promise<Outcome> {
    const outcome = await scratch.logproxy([...args, ...touch], env);
    expect(existsSync(join(scratch.folder, 'started'))).toBe(false);
    expect(readdirSync(scratch.sockets)).toEqual([]);
    return outcome;
  }

  test('a folder that holds something', async () => {
    const scratch = new Scratch();
    mkdirSync(scratch.run);
    writeFileSync(join(scratch.run, 'precious'), '');
    const { status, stderr } = await refused(scratch, ['--dir', 'run']);
    expect({ status, stderr }).toEqual({
      status: 64,
      stderr: 'sai-logproxy: run: expected a new or empty folder, found 1 entry; name another with --dir\n',
    });
    expect(readdirSync(scratch.run)).toEqual(['precious']);
  });

  test('a file in its place', async () => {
    const scratch = new Scratch();
    writeFileSync(scratch.run, '');
    const { status, stderr } = await refused(scratch, ['--dir', 'run']);
    expect(status).toBe(78);
    expect(stderr).toMatch(/^sai-logproxy: run: cannot keep a log there: ENOTDIR.*\n$/);
  });

  test('a folder that is read-only', async ({ skip }) => {
    skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
    const scratch = new Scratch();
    const disk = smallDisk(MiB);
    remount(disk, 'ro');
    const { status, stderr } = await refused(scratch, ['--dir', join(disk, 'run')]);
    expect(status).toBe(78);
    expect(stderr).toMatch(/^sai-logproxy: \S+: cannot keep a log there: EROFS.*\n$/);
  });

  test('a folder without any room', async ({ skip }) => {
    skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
    const scratch = new Scratch();
    const disk = smallDisk(64 * 1024);
    spawnSync('sh', ['-c', `cat /dev/zero > ${disk}/ballast`]);
    const { status, stderr } = await refused(scratch, ['--dir', join(disk, 'run')]);
    expect(status).toBe(74);
    expect(stderr).toMatch(/^sai-logproxy: \S+: cannot keep a log there: no space left for the log;.*\n$/);
    expect(readdirSync(disk)).toEqual(['ballast']);
  });

  test('fewer descriptors than it needs', async () => {
    const scratch = new Scratch();
    const limits = [20, 28, 30, 32];
    for (const limit of limits) {
      const script = `ulimit -n ${limit}; exec sai-logproxy --dir run "$@"`;
      const { env, folder: cwd } = scratch;
      const { status, stderr } = await runCommand('bash', ['-c', script, '-', ...touch], { env, cwd });
      expect({ limit, status, lines: stderr.split('\n').length }).toEqual({ limit, status: 78, lines: 2 });
      expect(stderr).toContain('EMFILE');
      expect(readdirSync(cwd)).toEqual(['sock']);
      expect(readdirSync(scratch.sockets)).toEqual([]);
    }
  });

  test('sockets whose paths would be cut', async () => {
    const scratch = new Scratch();
    const long = join(scratch.folder, 'x'.repeat(100));
    mkdirSync(long);
    const { status, stderr } = await refused(scratch, ['--dir', 'run'], {
      XDG_RUNTIME_DIR: long,
      TMPDIR: long,
    });
    expect(status).toBe(78);
    expect(stderr).toMatch(/^sai-logproxy: \S+: expected a socket path of at most 107 bytes, got \d+; .*\n$/);
    expect(existsSync(scratch.run)).toBe(false);
  });
});

test.each([
  [[], 'expected a command to run, got none'],
  [['--ttys', '61', 'true'], /expected a number of ttys from 0 to 60/],
  [['show'], /expected <dir>, got none/],
  [['show', '.'], /expected a folder that sai-logproxy wrote: found no run.json in it/],
  [['show', '.', '--since', 'yesterday'], /expected a duration such as/],
])('%j is refused with status 64', async (args, message) => {
  const { status, stdout, stderr } = await new Scratch().logproxy(args);
  expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr.split('\n')).toHaveLength(2);
});

test('show refuses what is no file in the place of one, with one line', async () => {
  const scratch = new Scratch();
  await scratch.script('echo hello');
  mkdirSync(join(scratch.run, 'tty0.sailog'));
  expect(await scratch.logproxy(['show', 'run'])).toEqual({
    status: 76,
    stdout: '',
    stderr: 'sai-logproxy: run/tty0.sailog: expected a log of sai-logproxy, found no file\n',
  });
});

test('a disk that fills up under a command does not stop it; the files are readable, and the status is 74', async ({
  skip,
}) => {
  skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
  const scratch = new Scratch();
  const run = join(smallDisk(MiB), 'run');
  const findings = join(scratch.folder, 'findings');
  const script = `head -c ${8 * MiB} /dev/zero; echo the end`;
  const args = ['--dir', run, 'sh', '-c', script];
  const { status, stdout, stderr } = await scratch.logproxy(args, { SAI_FINDINGS: findings });
  expect(status).toBe(74);
  expect(stdout.length).toBe(8 * MiB + 'the end\n'.length);
  const [trouble, summary, loss, rest] = stderr.split('\n');
  expect(trouble).toMatch(/stdout: cannot be written: ENOSPC: .*; the command goes on/);
  const kept = Number(/stdout\.log (\d+) bytes/.exec(summary ?? '')?.[1]);
  const lacks = Number(/stdout lacks (\d+) bytes/.exec(loss ?? '')?.[1]);
  expect(kept).toBeGreaterThan(0);
  expect(kept + lacks).toBe(stdout.length);
  expect(rest).toBe('');
  expect(JSON.parse(readFileSync(findings, 'utf8'))).toMatchObject({
    tool: 'sai-logproxy',
    verdict: 'infra',
    blame: 'hardware',
  });
});

test('killed at any moment it leaves files that are readable up to the tear, and hangs nobody', {
  timeout: 60_000,
}, async () => {
  const random = seededRandom();
  const writer = join(ROOT, 'test/peers/counting-writer.mjs');
  for (let round = 0; round < 6; round++) {
    const scratch = new Scratch();
    const { child, closed } = scratch.start(`exec ${process.execPath} ${writer}`);
    const hasBegun = (channel: string): boolean =>
      existsSync(join(scratch.run, `${channel}.log`)) && scratch.plain(channel).includes('\n');
    await until(() => hasBegun('stdout') && hasBegun('tty0'), 'something is in the log');
    await random.pause(80);
    child.kill('SIGKILL');
    await closed;
    const { records, torn } = scratch.records('tty0');
    const text = Buffer.concat(records.flatMap((each) => (each.kind === 'bytes' ? [each.bytes] : [])));
    expect(torn).toBeLessThan(2 * MiB);
    expect(text.toString()).toBe(countingText(text.length));
    expect(scratch.plain('tty0').slice(0, text.length)).toBe(
      text.toString().slice(0, scratch.plain('tty0').length),
    );
    const shown = await scratch.logproxy(['show', 'run']);
    expect({ status: shown.status, torn: shown.stderr !== '' }).toEqual({ status: 0, torn: torn > 0 });
    // The command hears that nobody listens any more, and ends by itself.
    const pid = Number(scratch.plain('stdout'));
    await until(() => (readProcess(pid)?.state ?? 'Z') === 'Z', 'the writer has ended');
  }
});

/** What `counting-writer.mjs` writes: every line its number. */
function countingText(length: number): string {
  let text = '';
  for (let line = 0; text.length < length; line++) text += `${String(line).padStart(9, '0')}\n`;
  return text.slice(0, length);
}

describe('a reader of the output that stalls', () => {
  /** Prints more than all buffers hold, then says on the control channel that a board has been read meanwhile. */
  const script =
    'head -c 3000000 /dev/zero & head -c 300000 /dev/zero | socat -u - UNIX:$SAI_LOGPROXY_TTY0; touch board-read; wait';

  test('does not stop a board from being read', async (context) => {
    needsProgram(context, 'socat');
    const scratch = new Scratch();
    const { child, closed } = scratch.start(script, 'pipe');
    await until(() => existsSync(join(scratch.folder, 'board-read')), 'the board has been read');
    let length = 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    expect(await closed).toEqual([0, null]);
    expect(length).toBe(3_000_000);
  });

  test('does not keep a command alive that is told to stop, nor its log from being whole', async (context) => {
    needsProgram(context, 'socat');
    const scratch = new Scratch();
    const { child, closed } = scratch.start(`${script}; sleep 1000`, 'pipe');
    await until(() => existsSync(join(scratch.folder, 'board-read')), 'the board has been read');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([null, 'SIGTERM']);
    child.stdout?.destroy();
    await closed;
    expect(scratch.plain('tty0').length).toBe(300_000);
    expect(scratch.records('stdout').torn).toBe(0);
    expect(readdirSync(scratch.sockets)).toEqual([]);
  });
});

test('a key of the terminal reaches the command once, and the command decides what it means', async (context) => {
  needsProgram(context, 'script');
  const scratch = new Scratch();
  const program = join(scratch.folder, 'program');
  writeFileSync(
    program,
    'trap "echo int" INT; echo up; n=0; while [ $n -lt 10 ]; do sleep 0.05; n=$((n+1)); done; exit 5',
  );
  const command = `exec sai-logproxy --quiet --dir run sh ${program}`;
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], {
    env: scratch.env,
    cwd: scratch.folder,
  });
  let output = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    const isUp = output.includes('up');
    output += chunk.toString();
    if (!isUp && output.includes('up')) terminal.stdin.write('\x03');
  });
  const [status] = (await once(terminal, 'close')) as [number];
  expect({ status, kept: scratch.plain('stdout') }).toEqual({ status: 5, kept: 'up\nint\n' });
});

test('Ctrl-C ends it also on a terminal that takes nothing any more', async (context) => {
  needsProgram(context, 'python3');
  const scratch = new Scratch();
  // A shell that waits for a program when Ctrl-C comes may go on once that has ended: here it waits for none.
  const script = 'head -c 3000000 /dev/zero; : > printed; exec sleep 1000';
  const program = join(scratch.folder, 'terminal.py');
  writeFileSync(
    program,
    `import os, pty, time
pid, terminal = pty.fork()
if pid == 0: os.execvp('sai-logproxy', ['sai-logproxy', '--dir', 'run', 'sh', '-c', '${script}'])
while not os.path.exists('printed'): time.sleep(0.02)
os.write(terminal, b'\\x03')
print(os.waitpid(pid, 0)[1])
`,
  );
  const { stdout } = await runCommand('python3', [program], { env: scratch.env, cwd: scratch.folder });
  expect(stdout).toBe('2\n'); // by SIGINT: a thread waits for the terminal
  expect(scratch.plain('stdout')).toHaveLength(3_000_000);
});

test('on a terminal it shows every channel, in colour unless NO_COLOR says otherwise', async (context) => {
  needsProgram(context, 'script');
  const scratch = new Scratch();
  const command = 'sai-logproxy --dir run sh -c "echo hello; echo oops >&2"';
  const env = { ...scratch.env, NO_COLOR: '' };
  const inColour = await runCommand('script', ['-qec', command, '/dev/null'], { env, cwd: scratch.folder });
  const marked = inColour.stdout.replaceAll('\x1b', 'ESC');
  expect(marked).toMatch(
    /^ESC\[2m\d\d:\d\d:\d\d\.\d{3}ESC\[0m ESC\[\d+mstdout {2}\|ESC\[0m helloESC\[0m\r$/m,
  );
  expect(marked).toMatch(/ESC\[31mstderr {2}\|ESC\[0m oopsESC\[0m\r$/m);
  const plain = await runCommand('script', ['-qec', command.replace('run', 'run2'), '/dev/null'], {
    env: { ...env, NO_COLOR: '1' },
    cwd: scratch.folder,
  });
  expect(plain.stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{3} stdout {2}\| hello\r$/m);
  expect(plain.stdout).not.toContain('\x1b');
});
