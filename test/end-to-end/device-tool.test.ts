import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readTtySettings } from '../../src/native/termios.ts';
import { Bench, SAI_DEVICE } from '../peers/bench.ts';
import { Foreigner, findingsIn, Go, heldPlaces, isLocked, isRunning } from '../peers/onlookers.ts';
import { Port } from '../peers/port.ts';
import { until } from '../until.ts';

const SAI_EXPECT = fileURLToPath(new URL('../../bin/sai-expect', import.meta.url));

const TOOL = `${process.execPath} ${SAI_DEVICE} --tool`;
const EXPECT = `${process.execPath} ${SAI_EXPECT}`;

const inside = (script: string): string[] => ['uno', 'sh', '-c', script];

const pidIn = (stdout: string): number => Number(/pid (\d+)/.exec(stdout)?.[1]);

describe('while a tool has the tty', () => {
  test('it is unlocked, and no other sai-device gets it', async () => {
    await using bench = new Bench();
    const go = new Go(bench);
    const started = bench.start(inside(`${TOOL} sh -c 'echo lent; ${go.wait}'; echo back; cat`));
    await started.prints(/lent/);
    const { ttyPath } = bench.board;
    expect(isLocked(ttyPath)).toBe(false);
    expect(heldPlaces(bench)).toHaveLength(1);
    const other = await bench.run(['--no-wait', 'uno', 'true']);
    expect(other).toMatchObject({ status: 75, stderr: expect.stringContaining('uno1 is held by pid') });
    go.say();
    await started.prints(/back/);
    expect(isLocked(ttyPath)).toBe(true);
    started.closeInput();
    expect(await started.ended).toMatchObject({ status: 0, stderr: '' });
    expect(bench.leftBehind()).toEqual([]);
  });

  test('a sai-expect outside the lease does not get it, though nobody has locked it', async () => {
    await using bench = new Bench();
    const { ttyPath } = bench.board;
    const go = new Go(bench);
    const started = bench.start(inside(`${TOOL} sh -c 'echo lent; ${go.wait}'`));
    await started.prints(/lent/);
    const outside = spawnSync(
      process.execPath,
      [SAI_EXPECT, '--tty', ttyPath, '--expect', 'x', '--timeout', '300ms'],
      { env: bench.env, encoding: 'utf8' },
    );
    expect(outside.status).toBe(75);
    expect(outside.stderr).toMatch(
      new RegExp(`expected a free tty, process ${started.pid} \\(.*\\) has locked it`),
    );
    go.say();
    expect((await started.ended).status).toBe(0);
  });

  test('sai-expect waits for it, says so, and sees what was kept for it before', async () => {
    await using bench = new Bench();
    const go = new Go(bench);
    const expectText = (text: string): string => `${EXPECT} --quiet --expect ${text} --timeout 20s`;
    writeSync(bench.board.masterFd, 'first second');
    const waiting = `${expectText('first')} && { ${TOOL} sh -c 'echo lent; ${go.wait}; stty -F $SAI_DEVICE_TTY0 sane' & }; while ! [ -e ${bench.file('next')} ]; do sleep 0.02; done; ${EXPECT} --expect second --timeout 20s > /dev/null && echo seen; wait`;
    const started = bench.start(inside(waiting));
    await started.prints(/lent/);
    writeFileSync(bench.file('next'), '');
    await started.says(/tty0 .*: waiting for process \d+ \(.*--tool/);
    go.say();
    await started.prints(/seen/);
    expect(await started.ended).toMatchObject({ status: 0, stdout: 'lent\nseen\n' });
  });

  test('nothing of the rig is open in it', async () => {
    await using bench = new Bench();
    const script = 'ls /proc/self/fd';
    const { stdout } = await bench.run(inside(`${TOOL} sh -c '${script}'`));
    expect(stdout).toBe(spawnSync('sh', ['-c', script], { encoding: 'utf8' }).stdout);
  });

  test('the time of the lease may run out', async () => {
    await using bench = new Bench();
    const args = [
      '--max-lease',
      '1s',
      '--grace',
      '200ms',
      ...inside(`${TOOL} sh -c 'echo pid $$; sleep 1000'`),
    ];
    const { status, stdout } = await bench.run(args);
    expect(status).toBe(75);
    expect(isRunning(pidIn(stdout))).toBe(false);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('a signal ends it with the lease', async () => {
    await using bench = new Bench();
    const started = bench.start(inside(`${TOOL} sh -c 'echo pid $$; exec sleep 1000'`));
    await started.prints(/pid \d+/);
    started.kill('SIGTERM');
    const { status, stdout } = await started.ended;
    expect(status).toBe(143);
    expect(isRunning(pidIn(stdout))).toBe(false);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('the tty may go and come back, as that of a board with native USB does when it is flashed', async () => {
    await using bench = new Bench();
    using port = new Port(bench.file('port'));
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [port.path], reappear: '1s' }] });
    const go = new Go(bench);
    const started = bench.start(['-v', ...inside(`${TOOL} sh -c 'echo lent; ${go.wait}'; echo back; cat`)]);
    await started.prints(/lent/);
    port.unplug();
    await started.says(/went away/);
    const board = port.plugIn();
    spawnSync('sleep', ['1.2']); // longer than it may be away
    expect(isLocked(board.ttyPath)).toBe(false);
    go.say();
    await until(() => isLocked(board.ttyPath), 'the new tty is locked');
    await started.prints(/back/);
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('a tty that it leaves away is waited for: what comes next finds it', async () => {
    await using bench = new Bench();
    using port = new Port(bench.file('port'));
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [port.path] }] });
    const go = new Go(bench);
    const started = bench.start([
      '-v',
      ...inside(`${TOOL} sh -c 'echo lent; ${go.wait}; echo done'; cat $SAI_DEVICE_TTY0`),
    ]);
    await started.prints(/lent/);
    port.unplug();
    await started.says(/went away/);
    go.say();
    await started.prints(/done/);
    const { masterFd } = port.plugIn();
    writeSync(masterFd, 'seen');
    await started.prints(/seen/);
    started.kill('SIGTERM');
    expect((await started.ended).status).toBe(143);
  });

  test('a tty that does not come back ends the lease', async () => {
    await using bench = new Bench();
    using port = new Port(bench.file('port'));
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [port.path], reappear: '300ms' }] });
    const started = bench.start(inside(`${TOOL} sh -c 'echo lent; exec sleep 1000'`));
    await started.prints(/lent/);
    port.unplug();
    expect(await started.ended).toMatchObject({
      status: 74,
      stderr: expect.stringContaining('was not back within 300 ms'),
    });
  });
});

describe('a tool', () => {
  test('decides the status; what it leaves running is ended, and the tty is raw at its rate again', async () => {
    await using bench = new Bench();
    const { ttyPath, ttyFd } = bench.board;
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [{ tty: ttyPath, rate: 74_880 }] }] });
    const tool = `setsid sleep 1000 & echo pid $!; stty -F $SAI_DEVICE_TTY0 sane 9600; exit 42`;
    const started = bench.start(inside(`${TOOL} sh -c '${tool}'; echo status $?; cat`));
    await started.prints(/status 42/);
    expect(readTtySettings(ttyFd)).toMatchObject({ baudRate: 74_880, raw: true, echo: false });
    started.closeInput();
    expect(isRunning(pidIn((await started.ended).stdout))).toBe(false);
  });

  test('waits for a sai-expect that reads the console, and for another tool', async () => {
    await using bench = new Bench();
    const go = new Go(bench);
    const read = `${EXPECT} --expect now --timeout 20s > /dev/null & while ! [ -s $SAI_DEVICE_LEASE/console-0.lock ]; do sleep 0.02; done`;
    const first = `${TOOL} sh -c 'echo first; ${go.wait}'`;
    const started = bench.start(inside(`${read}; ${first} & wait %1; ${TOOL} echo second; wait`));
    await started.says(/uno1: waiting for process \d+ \(.*sai-expect .*\), which uses its console/);
    writeSync(bench.board.masterFd, 'now');
    await started.prints(/first/);
    await started.says(/uno1: waiting for process \d+ \(.*--tool.*\), which uses its console/);
    go.say();
    expect(await started.ended).toMatchObject({ status: 0, stdout: 'first\nsecond\n' });
  });

  test.each([
    ['--wait 300ms', ' after 300 ms'],
    ['--no-wait', ''],
  ])('gives up with 75 when a console is read for longer than it waits, by %s', async (wait, after) => {
    await using bench = new Bench();
    const read = `${EXPECT} --expect never --timeout never > /dev/null & while ! [ -s $SAI_DEVICE_LEASE/console-0.lock ]; do sleep 0.02; done`;
    const { stdout, stderr } = await bench.run(inside(`${read}; ${TOOL} ${wait} echo ran; echo $?; kill $!`));
    expect(stdout).toBe('75\n');
    expect(stderr).toMatch(
      new RegExp(
        `^sai-device: uno1: expected its consoles to be free, process \\d+ \\(.*\\) still uses one${after}; allow more with --wait$`,
        'm',
      ),
    );
  });

  test('is for the inside of a lease', async () => {
    await using bench = new Bench();
    const without = await bench.run(['--tool', 'true']);
    expect(without).toMatchObject({
      status: 64,
      stderr:
        'sai-device: --tool: expected to run under a lease, found none; run what needs the tool under one: sai-device TYPE COMMAND\n',
    });
    const over = await bench.run(['--tool', 'true'], { SAI_DEVICE_LEASE: bench.file('gone') });
    expect(over.status).toBe(69);
    expect(over.stderr).toContain('it has ended');
  });

  test.each([
    ['--tool', 64, '--tool: expected a command, got none'],
    ['--tool --tag x true', 64, '--tool: expected no --tag'],
    ['--tool --max-lease 1h true', 64, '--tool: expected no --max-lease'],
    ['--flash uno true', 64, '--flash: expected together with --tool'],
    ['--tool no-such-command', 127, 'no-such-command: command not found'],
    ['--tool /etc/passwd', 126, '/etc/passwd: cannot be started: not executable'],
  ])('is refused before anything is lent: %s', async (args, status, text) => {
    await using bench = new Bench();
    const { stdout, stderr } = await bench.run(inside(`${process.execPath} ${SAI_DEVICE} ${args}; echo $?`));
    expect(stdout).toBe(`${status}\n`);
    expect(stderr).toContain(`sai-device: ${text}`);
  });

  test('of a device with several ttys has them all', async () => {
    await using bench = new Bench({}, {});
    const paths = bench.boards.map(({ ttyPath }) => ttyPath);
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: paths }] });
    const script = `flock -n ${paths[0]} flock -n ${paths[1]} ls $SAI_DEVICE_LEASE`;
    const { status, stdout } = await bench.run(inside(`${TOOL} ${script}`));
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: 'console-0.lock\nconsole-1.lock\nlease.json\nlend\n',
    });
  });
});

describe('a device whose config says "lend": "always"', () => {
  test('is open to programs that lock it for the whole lease, and closed to other leases', async () => {
    await using bench = new Bench({ lend: 'always' });
    const script = `flock -n $SAI_DEVICE_TTY0 echo open; ${TOOL} flock -n $SAI_DEVICE_TTY0 echo tool; echo up; cat`;
    const started = bench.start(inside(script));
    await started.prints(/up/);
    expect((await bench.run(['--no-wait', 'uno', 'true'])).status).toBe(75);
    started.closeInput();
    expect(await started.ended).toMatchObject({ status: 0, stdout: 'open\ntool\nup\n', stderr: '' });
  });

  test('is not taken while another program has it, and is raw at the start', async () => {
    await using bench = new Bench({ lend: 'always' });
    const { ttyPath, ttyFd } = bench.board;
    const other = new Foreigner(ttyPath);
    await other.hasLock;
    expect((await bench.run(['--no-wait', 'uno', 'true'])).status).toBe(75);
    await other[Symbol.asyncDispose]();
    await until(() => !isLocked(ttyPath), 'the other program is gone');
    spawnSync('stty', ['-F', ttyPath, 'sane']);
    expect((await bench.run(['uno', 'true'])).status).toBe(0);
    expect(readTtySettings(ttyFd)).toMatchObject({ raw: true, echo: false });
  });
});

describe('in the gap that a tool leaves', () => {
  test('a program that takes the lock and keeps it ends the lease with 75, and is named', async () => {
    await using bench = new Bench();
    const { ttyPath } = bench.board;
    const findings = bench.file('findings');
    const go = new Go(bench);
    const other = new Foreigner(ttyPath);
    await other.hasLock;
    await other[Symbol.asyncDispose]();
    await until(() => !isLocked(ttyPath), 'the tty is free');
    const started = bench.start(inside(`echo up; ${go.wait}; ${TOOL} sh -c 'sleep 0.3'; sleep 1000`), {
      SAI_FINDINGS: findings,
    });
    await started.prints(/up/);
    const queued = new Foreigner(ttyPath);
    go.say();
    await queued.hasLock;
    const { status, stderr } = await started.ended;
    await queued[Symbol.asyncDispose]();
    expect(status).toBe(75);
    const text = new RegExp(
      `uno1: ${ttyPath}: expected to lock it again after a tool had used it, process ${queued.pid} \\(flock -x .*\\) has locked it; lease ended$`,
      'm',
    );
    expect(stderr).toMatch(text);
    expect(findingsIn(findings)).toMatchObject([
      {
        verdict: 'infra',
        blame: 'busy',
        device: 'uno1',
        tty: ttyPath,
        evidence: expect.stringMatching(text),
      },
    ]);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('one that lets go in time does no harm, however many try', async () => {
    await using bench = new Bench();
    const { ttyPath } = bench.board;
    const stop = new Go(bench, 'stop');
    const go = new Go(bench);
    const hammer = spawn('sh', [
      '-c',
      `while ! [ -e ${bench.file('stop')} ]; do flock -n ${ttyPath} true; done`,
    ]);
    const started = bench.start(inside(`echo up; ${go.wait}; ${TOOL} sh -c 'sleep 0.3'; echo back; cat`));
    await started.prints(/up/);
    const queued = new Foreigner(ttyPath);
    go.say();
    await queued.hasLock;
    await queued[Symbol.asyncDispose]();
    await started.prints(/back/);
    await until(() => isLocked(ttyPath), 'the tty is locked again');
    expect(spawnSync('flock', ['-n', ttyPath, 'true']).status).toBe(1);
    stop.say();
    await once(hammer, 'exit');
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('a process of the lease that has the lock is waited for as long as it lives', {
    timeout: 30_000,
  }, async () => {
    await using bench = new Bench();
    const { ttyPath } = bench.board;
    const go = new Go(bench);
    // It takes the lock through a parent that is gone: a daemon.
    const daemon = `(flock -n 9 && (echo daemon; ${go.wait}) & ) 9< ${ttyPath}`;
    const script = `echo up; while ! [ -e ${bench.file('lent')} ]; do sleep 0.02; done; ${daemon}; cat`;
    const tool = `${TOOL} sh -c 'touch ${bench.file('lent')}; sleep 0.5'; echo tool done`;
    const started = bench.start(inside(`(${tool}) & ${script}`));
    await started.prints(/daemon/);
    await started.says(/uno1: waiting for process \d+ \(.*\) of this lease, which has locked a lent tty/);
    await started.prints(/tool done/);
    spawnSync('sleep', ['5.5']); // longer than a stranger would be given
    expect(isRunning(started.pid)).toBe(true);
    go.say();
    await until(() => spawnSync('flock', ['-n', ttyPath, 'true']).status === 1, 'the tty is locked again');
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });
});
