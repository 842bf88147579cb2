import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openPty, type PtyPair } from '../../src/native/pty.ts';
import { readTtySettings } from '../../src/native/termios.ts';
import { Bench, type BenchDevice, guardsOf, type Started } from '../peers/bench.ts';
import { Foreigner, findingsIn, guardOf, heldPlaces, isLocked, isRunning } from '../peers/onlookers.ts';
import { Port } from '../peers/port.ts';
import { until } from '../until.ts';

const BAUD_RATE = 74_880;

/** A bench whose only device has its tty, or several, behind links. */
function benchWithPorts(count = 1, device: BenchDevice = {}): { bench: Bench; ports: [Port, ...Port[]] } {
  const bench = new Bench();
  const [first, ...others] = Array.from(
    { length: count },
    (_, index) => new Port(bench.file(`port${index}`)),
  );
  if (!first) throw new Error('a board has a tty');
  const ttys = [first, ...others].map(({ path }) => ({ tty: path, rate: BAUD_RATE }));
  bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys, ...device }] });
  return { bench, ports: [first, ...others] };
}

/** What a process has open. */
function openFilesOf(pid: number | undefined): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    return []; // it ends just now
  }
}

/** The only guard of a lease, once it is alone and has that tty: one that was relieved may not have ended yet. */
async function guardWith(holder: Started, tty: string): Promise<number> {
  let guards: number[] = [];
  await until(() => {
    guards = guardsOf(holder.pid);
    return guards.length === 1 && openFilesOf(guards[0]).includes(tty);
  }, 'the guard has the tty');
  return guards[0] ?? 0;
}

/** Neither holder nor guard has it open. */
async function isClosedBy(holder: Started, tty: string): Promise<void> {
  const isOpenIn = (pid: number): boolean => openFilesOf(pid).some((file) => file.split(' ')[0] === tty);
  await until(() => ![holder.pid, ...guardsOf(holder.pid)].some(isOpenIn), 'nobody has the dead tty open');
}

const pidIn = (stdout: string): number => Number(/up (\d+)/.exec(stdout)?.[1]);

const placeOf = ({ ttyPath }: PtyPair): string => {
  const { dev, ino } = statSync(ttyPath);
  return `inode-${dev.toString(16)}-${ino}.lease`;
};

describe('a tty that comes back in time', () => {
  test('is locked, raw and at its rate again, and the dead one is open nowhere', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const findings = bench.file('findings');
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; cat'], { SAI_FINDINGS: findings });
    await started.prints(/up/);
    const dead = port.board.ttyPath;
    port.unplug();
    await started.says(/went away/);
    await isClosedBy(started, dead);
    const board = openPty();
    spawnSync('stty', ['-F', board.ttyPath, 'sane', '9600', 'echo']);
    port.plugIn(board);
    await until(() => isLocked(board.ttyPath), 'the tty is locked again');
    await started.says(/is back, and locked again/);
    expect(readTtySettings(board.ttyFd)).toEqual({
      baudRate: BAUD_RATE,
      hangUpOnClose: false,
      raw: true,
      echo: false,
      local: true,
    });
    expect(spawnSync('flock', ['-n', port.path, 'true']).status).toBe(1);
    await guardWith(started, board.ttyPath);
    await until(() => heldPlaces(bench).length === 1, 'the place where it was is let go');
    expect(heldPlaces(bench)).toEqual([placeOf(board)]);
    started.closeInput();
    expect(await started.ended).toMatchObject({ status: 0, stdout: 'up\n' });
    expect({ findings: findingsIn(findings), left: bench.leftBehind() }).toEqual({ findings: [], left: [] });
    expect(heldPlaces(bench)).toEqual([]);
  });

  test('is kept by the guard too: it outlives a killed sai-device until the command is gone', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up $$; exec sleep 1000']);
    await started.prints(/up \d+/);
    port.unplug();
    await started.says(/went away/);
    const board = port.plugIn();
    const guard = await guardWith(started, board.ttyPath);
    process.kill(guard, 'SIGSTOP');
    started.kill('SIGKILL');
    await until(() => !isRunning(started.pid), 'the holder is gone');
    expect(isLocked(board.ttyPath)).toBe(true);
    process.kill(guard, 'SIGCONT');
    const { stdout } = await started.ended;
    await until(() => !isLocked(board.ttyPath), 'the guard has let go');
    expect(isRunning(pidIn(stdout))).toBe(false);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('may have its old number again, for nobody keeps the dead one open', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; cat']);
    await started.prints(/up/);
    let sameNumber = 0;
    // Somebody else on this host may take the number: then once more.
    for (let round = 0; round < 20 && sameNumber === 0; round++) {
      const { ttyPath } = port.board;
      await until(() => isLocked(ttyPath), 'the tty is locked');
      await guardWith(started, ttyPath);
      port.unplug();
      await isClosedBy(started, ttyPath);
      if (port.plugIn().ttyPath === ttyPath) sameNumber += 1;
      await until(() => isLocked(port.path), 'the tty is locked again');
    }
    expect(sameNumber).toBe(1);
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('may go and come many times, alone and with the others of its board', async () => {
    const { bench, ports } = benchWithPorts(2);
    await using _bench = bench;
    using _first = ports[0];
    using _second = ports[1] ?? ports[0];
    const started = bench.start(['uno', 'sh', '-c', 'echo up; cat']);
    await started.prints(/up/);
    for (const going of [[0], [1], [0, 1], [1, 0]]) {
      for (const index of going) ports[index]?.unplug();
      for (const index of going.reverse()) ports[index]?.plugIn();
      await until(() => ports.every(({ path }) => isLocked(path)), 'all ttys are locked again');
    }
    for (const { board } of ports) await guardWith(started, board.ttyPath);
    await until(() => heldPlaces(bench).length === 2, 'the places where they were are let go');
    started.closeInput();
    expect(await started.ended).toMatchObject({ status: 0, stderr: '' });
  });

  test('is refused to others before it is locked again, and while it is away they wait', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; cat']);
    await started.prints(/up/);
    port.unplug();
    await started.says(/went away/);
    const waiter = bench.start(['uno', 'echo', 'mine']);
    await waiter.says(/position 1: uno1 is held by pid/);
    started.kill('SIGSTOP');
    const board = port.plugIn();
    const hasty = await bench.run(['--no-wait', 'uno', 'true']);
    expect(hasty).toMatchObject({ status: 75, stderr: expect.stringContaining('uno1 is held by pid') });
    const { stdout } = await bench.run(['--list', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'uno1', state: 'held' });
    expect(isLocked(board.ttyPath)).toBe(false);
    started.kill('SIGCONT');
    await until(() => isLocked(board.ttyPath), 'the tty is locked again');
    started.closeInput();
    expect((await started.ended).status).toBe(0);
    expect(await waiter.ended).toMatchObject({ status: 0, stdout: 'mine\n' });
  });

  test('may be had by another program for a moment', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; cat']);
    await started.prints(/up/);
    port.unplug();
    await started.says(/went away/);
    const board = openPty();
    const other = new Foreigner(board.ttyPath);
    await other.hasLock;
    port.plugIn(board);
    await other[Symbol.asyncDispose]();
    await started.says(/is back, and locked again/);
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('may be had by a process of the lease for as long as that lives', async () => {
    const { bench, ports } = benchWithPorts(1, { reappear: '1s' });
    await using _bench = bench;
    using port = ports[0];
    const go = bench.file('go');
    const script = `echo up; while ! [ -e ${go} ]; do sleep 0.05; done; flock $(cat ${go}) sh -c 'echo locked; sleep 2.5'; echo over; cat`;
    const started = bench.start(['-v', 'uno', 'sh', '-c', script]);
    await started.prints(/up/);
    port.unplug();
    await started.says(/went away/);
    const board = openPty();
    spawnSync('sh', ['-c', `echo ${board.ttyPath} > ${go}.new; mv ${go}.new ${go}`]);
    await started.prints(/locked/);
    port.plugIn(board);
    await started.prints(/over/);
    await started.says(/is back, and locked again/);
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('is no fault, also when the command ends before it is locked again', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; read line']);
    await started.prints(/up/);
    port.unplug();
    await started.says(/went away/);
    started.kill('SIGSTOP');
    started.closeInput();
    port.plugIn();
    started.kill('SIGCONT');
    expect((await started.ended).status).toBe(1); // that of read
  });
});

describe('a tty that does not come back', () => {
  test('is told of with what is there instead, also when the command ends before time is up', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; read line']);
    await started.prints(/up/);
    port.unplug();
    writeFileSync(port.path, '');
    await started.says(/went away/);
    started.closeInput();
    const { status, stderr } = await started.ended;
    expect(status).toBe(74);
    expect(stderr).toMatch(
      /uno1: (\S+) went away during the lease \(\1: expected a tty, found another kind of file; .*\); check cable/,
    );
  });

  test.each([[{}], [{ lend: 'always' }]] as const)(
    'is still away when a plain file takes its path, for a device that says %j',
    async (device) => {
      const { bench, ports } = benchWithPorts(1, { ...device, reappear: '500ms' });
      await using _bench = bench;
      using port = ports[0];
      const started = bench.start(['uno', 'sh', '-c', 'echo up; exec sleep 1000']);
      await started.prints(/up/);
      port.unplug();
      writeFileSync(port.path, '');
      const { status, stderr } = await started.ended;
      expect(status).toBe(74);
      expect(stderr).toContain(
        `uno1: ${port.path} went away during the lease, and was not back within 500 ms (${port.path}: expected a tty, found another kind of file; `,
      );
    },
  );

  test('is listed as away, also when a plain file takes its path', async () => {
    const { bench, ports } = benchWithPorts(2);
    await using _bench = bench;
    using port = ports[0];
    using other = ports[1] as Port;
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; read line']);
    await started.prints(/up/);
    const list = async (): Promise<object> => JSON.parse((await bench.run(['--list', '--json'])).stdout);
    expect(await list()).not.toHaveProperty('missing');
    port.unplug();
    await started.says(/went away/);
    expect(await list()).toMatchObject({
      state: 'held',
      ttys: [port.path, other.path],
      missing: [port.path],
    });
    writeFileSync(port.path, '');
    expect((await bench.run(['--list'])).stdout).toMatch(
      new RegExp(`^uno1 is held by pid ${started.pid} .* \\[uno\\]; its tty ${port.path} is away\n$`),
    );
    started.kill('SIGTERM');
    await started.ended;
  });

  test.each([
    ['200ms', ', and was not back within 200 ms'],
    ['0s', ''],
  ])('within %s ends the lease: HUP, 74 and a finding', async (reappear, within) => {
    const { bench, ports } = benchWithPorts(1, { reappear });
    await using _bench = bench;
    using port = ports[0];
    const findings = bench.file('findings');
    const script = 'trap "echo hup; exit 0" HUP; echo up; while :; do sleep 0.05; done';
    const started = bench.start(['uno', 'sh', '-c', script], { SAI_FINDINGS: findings });
    await started.prints(/up/);
    port.unplug();
    const text = `uno1: ${port.path} went away during the lease${within}; check cable and power`;
    const { status, stdout, stderr } = await started.ended;
    expect({ status, stdout }).toEqual({ status: 74, stdout: 'up\nhup\n' });
    expect(stderr).toContain(`sai-device: ${text}\n`); // the shell may say more
    expect(findingsIn(findings)).toMatchObject([
      {
        tool: 'sai-device',
        verdict: 'infra',
        blame: 'hardware',
        device: 'uno1',
        tty: port.path,
        evidence: text,
      },
    ]);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('but is had by another program ends the lease with 75 and a finding that names it', async () => {
    const { bench, ports } = benchWithPorts(1, { reappear: '500ms' });
    await using _bench = bench;
    using port = ports[0];
    const findings = bench.file('findings');
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; sleep 1000'], { SAI_FINDINGS: findings });
    await started.prints(/up/);
    const board = openPty();
    const other = new Foreigner(board.ttyPath);
    await other.hasLock;
    port.unplug();
    port.plugIn(board);
    const { status } = await started.ended;
    await other[Symbol.asyncDispose]();
    expect(status).toBe(75);
    expect(findingsIn(findings)).toMatchObject([
      {
        verdict: 'infra',
        blame: 'busy',
        device: 'uno1',
        tty: port.path,
        evidence: expect.stringMatching(
          /expected to lock it again when it came back, process \d+ \(.*\) has locked it; lease ended$/,
        ),
      },
    ]);
  });

  test('does not keep a lease from being too long', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['--max-lease', '1s', 'uno', 'sh', '-c', 'echo up; sleep 1000']);
    await started.prints(/up/);
    port.unplug();
    expect(await started.ended).toMatchObject({
      status: 74, // it is gone at the end: that is what somebody has to see to
      stderr: expect.stringContaining('went away'),
    });
  });
});

describe('while a tty is away', () => {
  test('a killed sai-device leaves neither command nor lock', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up $$; exec sleep 1000']);
    await started.prints(/up \d+/);
    port.unplug();
    await started.says(/went away/);
    started.kill('SIGKILL');
    const { stdout } = await started.ended;
    await until(() => heldPlaces(bench).length === 0, 'the lease is over');
    expect(isRunning(pidIn(stdout))).toBe(false);
    port.plugIn();
    expect((await bench.run(['uno', 'true'])).status).toBe(0);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('a killed guard is replaced by one that gets the tty when it is back', async () => {
    const { bench, ports } = benchWithPorts();
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; cat']);
    await started.prints(/up/);
    port.unplug();
    await started.says(/went away/);
    process.kill(await guardOf(started), 'SIGKILL');
    await started.says(/started another/);
    const board = port.plugIn();
    await guardWith(started, board.ttyPath);
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });

  test('a sai-device that stands still finds it again once it goes on', async () => {
    const { bench, ports } = benchWithPorts(1, { reappear: '500ms' });
    await using _bench = bench;
    using port = ports[0];
    const started = bench.start(['-v', 'uno', 'sh', '-c', 'echo up; cat']);
    await started.prints(/up/);
    port.unplug();
    await started.says(/went away/);
    started.kill('SIGSTOP');
    spawnSync('sleep', ['0.6']); // past its time
    const board = port.plugIn();
    started.kill('SIGCONT');
    await until(() => isLocked(board.ttyPath), 'the tty is locked again');
    started.closeInput();
    expect((await started.ended).status).toBe(0);
  });
});
