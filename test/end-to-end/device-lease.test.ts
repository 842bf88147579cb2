import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readProcess, readProcessTable } from '../../src/base/process-table.ts';
import { readTtySettings } from '../../src/native/termios.ts';
import { Bench, commandLineOf, guardsOf, SAI_DEVICE } from '../peers/bench.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { reachableSaiDevice } from '../peers/reachable-commands.ts';
import { until } from '../until.ts';

/** Told apart from every other sleep of this machine. */
const SLEEP_SECONDS = 98_765 + process.pid;

const flockStatus = (path: string): number | null => spawnSync('flock', ['-n', path, 'true']).status;

describe('a command under a lease', () => {
  test('finds its device in the environment, and its arguments as they were typed', async () => {
    await using bench = new Bench({
      jig: { url: 'http://pi:44000/', target: 'dut' },
      env: { CHIP: 'm328p' },
      compatible: 'arduino, avr',
    });
    const script = 'env; printf "<%s>" "$@"';
    const args = [
      'avr',
      'PORT=0',
      '--',
      'sh',
      '-c',
      script,
      'sh',
      '-j4',
      '--',
      '--list',
      'a b',
      '',
      '5',
      '6',
      '7',
    ];
    const { status, stdout, stderr } = await bench.run(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const tty = bench.board.ttyPath;
    for (const line of [
      `SAI_DEVICE_TTY0=${tty}`,
      `PORT=${tty}`,
      'SAI_DEVICE_NAME=uno1',
      'SAI_DEVICE_TYPE=uno',
      'SAI_DEVICE_JIG=http://pi:44000/dut',
      'CHIP=m328p',
      `SAI_RUN_DIR=${bench.runDir}`,
    ]) {
      expect(stdout.split('\n')).toContain(line);
    }
    expect(stdout).toMatch(/^SAI_DEVICE_FENCE=\d+$/m);
    expect(stdout).toMatch(new RegExp(`^SAI_DEVICE_LEASE=${bench.runDir}/leases/.+$`, 'm'));
    expect(stdout).toContain('<-j4><--><--list><a b><><5><6><7>');
    expect(bench.leftBehind()).toEqual([]);
  });

  test('decides the status, and its input and output pass untouched', async () => {
    await using bench = new Bench();
    const started = bench.start(['uno', 'sh', '-c', 'echo out; echo err >&2; cat; exit 42']);
    started.closeInput();
    expect(await started.ended).toEqual({ status: 42, signal: null, stdout: 'out\n', stderr: 'err\n' });
    expect((await bench.run(['uno', 'sh', '-c', 'kill -KILL $$'])).status).toBe(137);
  });

  test('has the tty to itself against every program that uses flock', async () => {
    await using bench = new Bench();
    const inside = await bench.run(['uno', 'sh', '-c', 'flock -n $SAI_DEVICE_TTY0 true']);
    expect(inside.status).toBe(1);
    expect(flockStatus(bench.board.ttyPath)).toBe(0);
  });

  test('finds the bytes that its board sent before, and does not echo them back', async () => {
    await using bench = new Bench();
    writeSync(bench.board.masterFd, 'early boot text\n');
    const { stdout } = await bench.run(['uno', 'sh', '-c', 'head -n 1 < $SAI_DEVICE_TTY0']);
    expect(stdout).toBe('early boot text\n');
  });

  test('has a raw, silent tty at the configured rate that keeps DTR, however it was set before', async () => {
    await using bench = new Bench();
    const { ttyPath, masterFd, ttyFd } = bench.board;
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [{ tty: ttyPath, rate: 74_880 }] }] });
    spawnSync('stty', ['-F', ttyPath, 'sane', '9600', 'echo', 'hupcl', '-clocal']);
    const started = bench.start(['uno', 'sh', '-c', 'echo up; cat']);
    await started.prints(/up/);
    expect(readTtySettings(ttyFd)).toEqual({
      baudRate: 74_880,
      hangUpOnClose: false,
      raw: true,
      echo: false,
      local: true,
    });
    writeSync(masterFd, 'Hit any key to stop autoboot\r\n');
    expect(() => readSync(masterFd, Buffer.alloc(8))).toThrow('EAGAIN');
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('and everything it starts get no descriptor of ours', async () => {
    await using bench = new Bench();
    const command = ['sh', '-c', 'ls /proc/self/fd; sh -c "ls /proc/self/fd; true"'] as const;
    const { stdout } = await bench.run(['uno', ...command]);
    // The same without us: whoever started the tests may have left something open.
    expect(stdout).toBe(spawnSync('sh', command.slice(1), { encoding: 'utf8' }).stdout);
  });

  test('has a tty that lets DTR fall at the last close where the config says so', async () => {
    await using bench = new Bench();
    const { ttyPath, ttyFd } = bench.board;
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [{ tty: ttyPath, hupcl: true }] }] });
    expect((await bench.run(['uno', 'true'])).status).toBe(0);
    expect(readTtySettings(ttyFd).hangUpOnClose).toBe(true);
  });

  test('has a probe to itself where the device is reached by nothing else', async () => {
    await using bench = new Bench();
    const probe = bench.file('probe');
    writeFileSync(probe, '');
    bench.configure({ devices: [{ name: 'nrf1', type: 'nrf52', locks: [probe] }] });
    const inside = await bench.run([
      'nrf52',
      'sh',
      '-c',
      `env | grep SAI_DEVICE_TTY; flock -n ${probe} true; echo $?`,
    ]);
    expect(inside).toMatchObject({ status: 0, stdout: '1\n' });
    expect(flockStatus(probe)).toBe(0);
  });

  test('gets a fence that is higher than that of every lease before', async () => {
    await using bench = new Bench();
    const fence = async (): Promise<number> =>
      Number((await bench.run(['uno', 'sh', '-c', 'echo $SAI_DEVICE_FENCE'])).stdout);
    const fences = [await fence(), await fence(), await fence()];
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
  });
});

describe('when the command ends', () => {
  test.each([
    ['that ignores TERM', `trap "" TERM; sleep ${SLEEP_SECONDS} & wait`],
    ['in a session of its own', `setsid sh -c "sleep ${SLEEP_SECONDS}; true"`],
    ['that gave up its environment', `exec env -i setsid sh -c "sleep ${SLEEP_SECONDS}; true"`],
    ['that is stopped', 'kill -STOP $$'],
  ])('a process %s is ended before the device is free', async (_name, script) => {
    await using bench = new Bench();
    const pidFile = bench.file('pid');
    const daemon = `(sh -c 'echo $$ > ${pidFile}; ${script}' > /dev/null 2>&1 &) ; while ! [ -s ${pidFile} ]; do :; done`;
    const { status } = await bench.run(['--grace', '200ms', 'uno', 'sh', '-c', daemon]);
    expect(status).toBe(0);
    expect(readProcess(Number(readFileSync(pidFile, 'utf8')))).toBeUndefined();
    const sleeping = readProcessTable().filter(({ pid }) =>
      commandLineOf(pid).includes(`sleep\0${SLEEP_SECONDS}\0`),
    );
    expect(sleeping).toEqual([]);
    expect(flockStatus(bench.board.ttyPath)).toBe(0);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('what a shell had started before it became sai-device lives on', async () => {
    await using bench = new Bench();
    const script = `sleep ${SLEEP_SECONDS} & echo $! > "$1"; shift; exec "$@"`;
    const pidFile = bench.file('pid');
    const sai = [process.execPath, SAI_DEVICE, 'uno', 'true'];
    const { status } = spawnSync('sh', ['-c', script, 'sh', pidFile, ...sai], {
      env: bench.env,
      stdio: 'ignore', // the sleep would keep a pipe open
    });
    const pid = Number(readFileSync(pidFile, 'utf8'));
    const isThere = readProcess(pid) !== undefined;
    process.kill(pid, 'SIGKILL');
    expect({ status, isThere }).toEqual({ status: 0, isThere: true });
  });

  test('its status stands, and the device is free, also when it left what its user cannot remove', async (context) => {
    needsRoot(context, 'to become somebody who is not');
    needsProgram(context, 'setpriv');
    await using bench = new Bench();
    chmodSync(bench.board.ttyPath, 0o666);
    chmodSync(bench.folder, 0o777);
    const script =
      'mkdir $SAI_DEVICE_LEASE/x; touch $SAI_DEVICE_LEASE/x/y; chmod 0 $SAI_DEVICE_LEASE/x; exit 3';
    const sai = [process.execPath, reachableSaiDevice(), 'uno', 'sh', '-c', script];
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', ...sai];
    const { status, stderr } = spawnSync('setpriv', nobody, { env: bench.env, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 3, stderr: '' });
    expect(flockStatus(bench.board.ttyPath)).toBe(0);
    expect((await bench.run(['--list', '--json'])).stdout).toContain('"state":"free"');
  });

  test('no guard, no lease folder and no ticket is left', async () => {
    await using bench = new Bench();
    await bench.run(['uno', 'true']);
    expect(guardsOf(bench.runDir)).toEqual([]);
    expect(bench.leftBehind()).toEqual([]);
  });
});

describe('a signal', () => {
  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('%s ends the whole tree, and the status says so', async (signal, status) => {
    await using bench = new Bench();
    const started = bench.start(['uno', 'sh', '-c', 'setsid sleep 1000 & echo up $!; wait']);
    await started.prints(/up \d+/);
    started.kill(signal);
    const ended = await started.ended;
    expect(ended.status).toBe(status);
    expect(readProcess(Number(/up (\d+)/.exec(ended.stdout)?.[1]))).toBeUndefined();
    expect(bench.leftBehind()).toEqual([]);
  });

  test('that the command does not obey is followed by KILL after the grace time', async () => {
    await using bench = new Bench();
    const started = bench.start([
      '--grace',
      '200ms',
      'uno',
      'sh',
      '-c',
      'trap "" TERM; echo up; while :; do sleep 0.1; done',
    ]);
    await started.prints(/up/);
    started.kill('SIGTERM');
    expect((await started.ended).status).toBe(143);
  });

  test('for the command alone arrives there, and the command goes on', async () => {
    await using bench = new Bench();
    const started = bench.start([
      'uno',
      'sh',
      '-c',
      'trap "got=usr1" USR1; sleep 1000 & echo up; while [ -z "$got" ]; do sleep 0.05; done; ' +
        'echo $got; kill $!; wait $!; exit $(($? - 100))',
    ]);
    await started.prints(/up/);
    started.kill('SIGUSR1');
    // 143 - 100: what the command had started died of the TERM of the command, not of our USR1.
    expect(await started.ended).toMatchObject({ status: 43, stdout: 'up\nusr1\n' });
  });

  test('ends a waiter at once, which leaves no ticket', async () => {
    await using bench = new Bench();
    const holder = bench.start(['uno', 'cat']);
    await until(() => flockStatus(bench.board.ttyPath) === 1, 'the device is held');
    const waiter = bench.start(['uno', 'true']);
    await waiter.says(/position 1/);
    waiter.kill('SIGTERM');
    expect(await waiter.ended).toMatchObject({ status: 143, stdout: '' });
    holder.closeInput();
    expect((await holder.ended).status).toBe(0);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('from the terminal reaches the command once, and the command decides what it means', async (context) => {
    needsProgram(context, 'script');
    await using bench = new Bench();
    const program = bench.file('program');
    const script =
      'trap "got=1; echo int" INT; echo up; while [ -z "$got" ]; do sleep 0.05; done; sleep 0.5; exit 5';
    writeFileSync(program, script);
    const command = `exec ${process.execPath} ${SAI_DEVICE} uno sh ${program}`;
    // script(1) gives a controlling terminal whose ^C signals the foreground group.
    const terminal = spawn('script', ['-qefc', command, '/dev/null'], { env: bench.env });
    let output = '';
    terminal.stdout.on('data', (chunk: Buffer) => {
      const isUp = output.includes('up');
      output += chunk.toString();
      if (!isUp && output.includes('up')) terminal.stdin.write('\x03');
    });
    const [status] = (await once(terminal, 'close')) as [number];
    expect({ status, output: output.replaceAll('\r', '') }).toEqual({ status: 5, output: 'up\n^Cint\n' });
  });
});

test('a signal by kill reaches the command of a sai-device in the background of a terminal', async (context) => {
  needsProgram(context, 'script');
  await using bench = new Bench();
  const up = bench.file('up');
  // With -m every job is a group of its own, and the terminal's foreground stays the shell's.
  const shell = `set -m; "$@" & while ! [ -e ${up} ]; do sleep 0.05; done; kill -INT $!; wait $!; echo status $?`;
  const program = bench.file('program');
  writeFileSync(program, shell);
  const command = `sh ${program} ${process.execPath} ${SAI_DEVICE} uno sh -c "touch ${up}; exec sleep 1000"`;
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], { env: bench.env });
  let output = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await once(terminal, 'close');
  expect(output).toContain('status 130\r\n');
});

test('a lease that lasts too long is ended with status 75 and a finding', async () => {
  await using bench = new Bench();
  const findings = bench.file('findings');
  const args = ['--max-lease', '300ms', '--grace', '100ms', 'uno', 'sh', '-c', 'trap "" TERM; sleep 1000'];
  const { status, stderr } = await bench.run(args, { SAI_FINDINGS: findings });
  expect(status).toBe(75);
  expect(stderr).toBe('sai-device: uno1: lease ended after 300 ms; allow more with --max-lease\n');
  expect(JSON.parse(readFileSync(findings, 'utf8'))).toMatchObject({
    tool: 'sai-device',
    verdict: 'infra',
    blame: 'busy',
    device: 'uno1',
  });
});

test('a device may limit its leases and the wait for it; the command line outranks it', async () => {
  await using bench = new Bench({ maxLease: '200ms', wait: '100ms' });
  expect((await bench.run(['--max-lease', '1h', 'uno', 'sleep', '0.4'])).status).toBe(0);
  expect((await bench.run(['uno', 'sleep', '1000'])).status).toBe(75);
  const holder = bench.start(['--max-lease', '1h', 'uno', 'sh', '-c', 'echo up; exec cat']);
  await holder.prints(/up/);
  const { stderr } = await bench.run(['-q', 'uno', 'true']);
  expect(stderr).toContain('no free device of type uno after 100 ms');
  holder.closeInput();
});

test('a tty that goes away under the command is a fault of the rig, whatever the command says', async () => {
  await using bench = new Bench();
  const findings = bench.file('findings');
  const started = bench.start(['uno', 'sh', '-c', 'echo up; cat < $SAI_DEVICE_TTY0; exit 0'], {
    SAI_FINDINGS: findings,
  });
  await started.prints(/up/);
  const { ttyPath } = bench.board;
  bench.unplug();
  const { status, stderr } = await started.ended;
  expect(status).toBe(74);
  expect(stderr).toContain(
    `sai-device: uno1: ${ttyPath} went away during the lease; check cable and power\n`,
  );
  expect(JSON.parse(readFileSync(findings, 'utf8'))).toMatchObject({
    verdict: 'infra',
    blame: 'hardware',
    tty: ttyPath,
  });
});

test('what the tools of a lease found is said at its end, and nothing when they found nothing', async () => {
  await using bench = new Bench();
  const finding = {
    tool: 'sai-expect',
    verdict: 'infra',
    blame: 'hardware',
    tty: 'tty0',
    evidence: 'tty0: hung up',
    atMs: 1,
    monotonicMs: 1,
  };
  const { status, stderr } = await bench.run([
    'uno',
    'sh',
    '-c',
    'echo "$0" >> $SAI_FINDINGS; exit 8',
    JSON.stringify(finding),
  ]);
  expect(status).toBe(8);
  expect(stderr).toBe('sai-device: verdict infra: sai-expect: tty0: hung up\n');
});

test('a stream of somebody else’s does not cost us the lock: the device stays held while its tty is read', async () => {
  await using bench = new Bench();
  const read =
    'const s = new (require("node:tty").ReadStream)(require("node:fs").openSync(process.env.SAI_DEVICE_TTY0, 2 | 0o400 | 0o4000)); s.on("data", () => {}); console.log("up")';
  const started = bench.start(['uno', process.execPath, '-e', read]);
  await started.prints(/up/);
  expect(flockStatus(bench.board.ttyPath)).toBe(1);
  started.kill('SIGTERM');
  expect((await started.ended).status).toBe(143);
});
