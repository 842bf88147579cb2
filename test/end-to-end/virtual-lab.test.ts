import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packageFile } from '../../src/base/package-file.ts';
import {
  isAlive,
  type ProcessInfo,
  readProcessTable,
  withDescendants,
} from '../../src/base/process-table.ts';
import { readFindings } from '../../src/findings/findings-file.ts';
import { DevicePool } from '../../src/wire/device.ts';
import { needsBoard } from '../peers/needs.ts';
import { until } from '../until.ts';
import { TtyUser } from '../virtual-lab/tty-user.ts';

const PROGRAM = packageFile('bin/sai-virtual-lab');

/** One run of the built command. */
class Run {
  stdout = '';
  stderr = '';
  readonly child: ChildProcess;
  /** Exit status, once all output is there. */
  readonly status: Promise<number | null>;
  #printed: () => void = () => {};

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const { PATH = '' } = process.env;
    this.child = spawn(process.execPath, [PROGRAM, ...args], { env: { PATH, ...env } });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
      this.#printed();
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.#printed();
    });
    this.status = once(this.child, 'close').then(([status]) => {
      this.#printed();
      return status as number | null;
    });
  }

  /** Until `text` is in what it said, or it has ended. */
  async until(text: string): Promise<void> {
    const ended = this.status.then(() => 'ended');
    while (!(this.stdout + this.stderr).includes(text)) {
      const printed = new Promise<void>((resolve) => {
        this.#printed = resolve;
      });
      if ((await Promise.race([printed, ended])) !== 'ended') continue;
      if (!(this.stdout + this.stderr).includes(text)) throw new Error(`expected ${text}: ${this.stderr}`);
    }
  }

  async outcome(): Promise<{ status: number | null; stdout: string; stderr: string }> {
    this.child.stdin?.end();
    const status = await this.status;
    return { status, stdout: this.stdout, stderr: this.stderr };
  }

  descendants(): ProcessInfo[] {
    return withDescendants(readProcessTable(), [this.child.pid ?? 0]).filter(
      ({ pid }) => pid !== this.child.pid,
    );
  }
}

let dir: string;
let runs: Run[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sai-lab-'));
});
afterEach(async () => {
  // A test that failed may have left a lab: its boards end with it.
  for (const { child } of runs) child.kill('SIGKILL');
  await Promise.all(runs.map(({ status }) => status));
  runs = [];
  rmSync(dir, { recursive: true, force: true });
});

function start(args: readonly string[], env?: Readonly<Record<string, string>>): Run {
  const run = new Run(args, env);
  runs.push(run);
  return run;
}

/** What a process was started with; nothing of one that has ended. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

async function upAndRunning(...args: string[]): Promise<Run> {
  const run = start(['up', '--json', '--dir', dir, ...args]);
  await run.until('}\n');
  return run;
}

describe('sai-virtual-lab up', () => {
  test('gives boards that answer, a devices config that lists them, and takes all back when told to stop', async () => {
    const folder = join(dir, 'made', 'by', 'it');
    const run = start(['up', '--json', '--dir', folder, 'uno:left', 'uno']);
    await run.until('}\n{');
    await run.until('}\n');
    const board = (name: string): object => ({
      board: name,
      type: 'uno',
      ttys: [join(folder, `${name}.tty0`)],
      chip: join(folder, `${name}.chip`),
      devices: join(folder, 'devices.json'),
      jig: join(folder, 'jig.json'),
    });
    expect(
      run.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([board('left'), board('uno-2')]);
    const device = (name: string): object => ({
      name,
      type: 'uno',
      compatible: 'arduino-uno,atmega328p',
      ttys: [{ tty: join(folder, `${name}.tty0`), rate: 115_200, name: 'console' }],
      env: { SIM_CHIP: join(folder, `${name}.chip`) },
    });
    const pool = v.parse(DevicePool, JSON.parse(readFileSync(join(folder, 'devices.json'), 'utf8')));
    expect(pool).toEqual({ devices: [device('left'), device('uno-2')] });
    for (const { ttys } of pool.devices) {
      const tty = ttys?.[0];
      await using user = new TtyUser(typeof tty === 'object' ? tty.tty : '');
      await user.until('ready\r\n> ');
      user.type('selftest\r');
      await user.until('Completed: PASS');
    }
    const chips = run.descendants();
    expect(chips).toHaveLength(2);
    run.child.kill('SIGTERM');
    expect(await run.status).toBe(143);
    expect(run.stderr).toBe('');
    expect(chips.filter(isAlive)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  test('tells people what to try', async () => {
    const run = start(['up'], { XDG_RUNTIME_DIR: dir });
    await run.until('Ctrl-C ends it.\n');
    expect(run.stdout).toContain(`console  ${dir}/sai-virtual-lab/uno-1.tty0  115200 baud\n`);
    expect(run.stdout).toContain(`  export SAI_DEVICES_CONF=${dir}/sai-virtual-lab/devices.json\n`);
    expect(run.stdout).toContain(`  export SIM_CHIP=${dir}/sai-virtual-lab/uno-1.chip\n`);
    expect(run.stdout).not.toContain('http:');
    run.child.kill('SIGINT');
    expect(await run.status).toBe(130);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('tells people how the jig is served that its devices are listed with', async () => {
    const run = start(['up', '--dir', dir, '--jig-port', '45991']);
    await run.until('Ctrl-C ends it.\n');
    expect(run.stdout).toContain(`  sai-jig --config ${dir}/jig.json\n`);
    expect(run.stdout).toContain('  sai jig run reset --url http://127.0.0.1:45991/uno-1\n');
    run.child.kill('SIGINT');
    expect(await run.status).toBe(130);
  });

  test('ends with its parent when asked to', async () => {
    const run = await upAndRunning('--with-parent');
    expect(await run.outcome()).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a second lab in the same folder is refused, and does not disturb the first', async () => {
    const first = await upAndRunning('--with-parent');
    expect(await start(['up', '--dir', dir, 'uno:other']).outcome()).toEqual({
      status: 75,
      stdout: '',
      stderr: `sai-virtual-lab: ${dir}: a virtual lab already runs here; stop it or name another --dir\n`,
    });
    await using user = new TtyUser(join(dir, 'uno-1.tty0'));
    user.type('echo undisturbed\r');
    await user.until('\nundisturbed');
    expect((await first.outcome()).status).toBe(0);
  });

  test('killed, it leaves no process, and the next lab there clears its leftovers away', async () => {
    const killed = await upAndRunning('uno:old');
    const chips = killed.descendants();
    killed.child.kill('SIGKILL');
    await killed.status;
    await until(() => !chips.some(isAlive), 'the chip has ended with its lab');
    expect(readdirSync(dir).sort()).toEqual(['devices.json', 'jig.json', 'old.chip', 'old.tty0']);
    const next = await upAndRunning('--with-parent', 'uno:new');
    expect(readdirSync(dir).sort()).toEqual(['devices.json', 'jig.json', 'new.chip', 'new.tty0']);
    expect((await next.outcome()).status).toBe(0);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('killed at any moment, it leaves no emulator', async (context) => {
    needsBoard(context, 'microbit');
    const moments: ((run: Run) => boolean)[] = [
      (run) => run.descendants().length > 0,
      (run) => run.descendants().some(({ name }) => name.startsWith('qemu')),
      (run) => run.stdout.includes('Ctrl-C'),
    ];
    for (const [index, moment] of moments.entries()) {
      const mark = `${dir}/${index}`;
      const isOurs = (each: ProcessInfo): boolean => isAlive(each) && environmentOf(each.pid).includes(mark);
      const killed = start(['up', '--dir', dir, 'microbit'], { MARK: mark });
      await until(() => moment(killed), 'the moment has come');
      killed.child.kill('SIGKILL');
      await killed.status;
      await until(() => !readProcessTable().some(isOurs), 'all have ended with their lab');
    }
  });

  test('a board that breaks ends the lab, which says why and clears up', async () => {
    const run = await upAndRunning();
    const findings = run.descendants().map(({ pid }) => process.kill(pid, 'SIGKILL'));
    expect(findings).toEqual([true]);
    expect(await run.outcome()).toMatchObject({
      status: 69,
      stderr: "sai-virtual-lab: uno-1: the chip's process ended with SIGKILL\n",
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  test.each([
    [
      'devices.json',
      (path: string) => writeFileSync(path, '{"devices":[]}'),
      'expected none or that of a virtual lab',
    ],
    [
      'jig.json',
      (path: string) => writeFileSync(path, '{"schema":"sai-jig","targets":[]}'),
      'expected none or that of a virtual lab',
    ],
    ['uno-1.tty0', (path: string) => writeFileSync(path, 'x'), 'expected a free place'],
    ['uno-1.tty0', (path: string) => symlinkSync('/dev/null', path), 'found a link to /dev/null'],
    ['uno-1.chip', (path: string) => writeFileSync(path, 'x'), 'found a file that is no socket'],
  ])('what is not a lab’s is left alone: %s', async (name, occupy, message) => {
    const path = join(dir, name);
    occupy(path);
    const before = lstatSync(path);
    const { status, stdout, stderr } = await start(['up', '--dir', dir]).outcome();
    expect({ status, stdout }).toEqual({ status: 78, stdout: '' });
    expect(stderr).toMatch(/^sai-virtual-lab: [^\n]*\n$/);
    expect(stderr).toContain(message);
    expect(lstatSync(path).ino).toBe(before.ino);
    expect(readdirSync(dir)).toEqual([name]);
  });
});

describe('on the chip of a running board', () => {
  let labDir: string;
  let lab: Run;
  let chip: string;
  let tty: string;
  beforeAll(async () => {
    labDir = mkdtempSync(join(tmpdir(), 'sai-lab-'));
    lab = new Run(['up', '--json', '--dir', labDir]);
    await lab.until('}\n');
    chip = join(labDir, 'uno-1.chip');
    tty = join(labDir, 'uno-1.tty0');
  });
  afterAll(async () => {
    lab.child.kill('SIGTERM');
    await lab.status;
    rmSync(labDir, { recursive: true });
  });

  const on = async (...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> =>
    await start(args, { SIM_CHIP: chip }).outcome();
  const done = { status: 0, stdout: '', stderr: '' };

  test('lines are listed and read', async () => {
    expect(await on('lines')).toEqual({
      ...done,
      stdout: 'reset      input   1\nbutton     input   1\nled        output  0\n',
    });
    expect((await on('lines', '--json')).stdout.split('\n')[2]).toBe(
      '{"name":"led","offset":2,"direction":"output","consumer":null,"level":0}',
    );
    expect(await start(['get', 'button', '--chip', chip]).outcome()).toEqual({ ...done, stdout: '1\n' });
  });

  test('the board is reset and its button pressed', async () => {
    await using user = new TtyUser(tty);
    expect(await on('reset')).toEqual(done);
    await user.until('(reset: external)\r\nready\r\n> ');
    expect(await on('press', '--for', '30ms')).toEqual(done);
    expect(await user.until('released\r\n> ')).toBe('\r\nbutton pressed\r\n> \r\nbutton released\r\n> ');
    expect(await on('pulse', 'button', '--for', '30ms')).toEqual(done);
    await user.until('released');
  });

  test('a line is held while a command runs, whose status counts', async () => {
    const inner = `${process.execPath} ${PROGRAM} lines; exit 3`;
    const held = await on('hold', 'button=0', '--', 'sh', '-c', inner);
    expect(held).toEqual({
      status: 3,
      stdout: 'reset      input   1\nbutton     input   0  sai-virtual-lab hold\nled        output  0\n',
      stderr: '',
    });
    expect((await on('get', 'button')).stdout).toBe('1\n');
    const busy = `${process.execPath} ${PROGRAM} press`;
    expect(await on('hold', 'button=0', '--', 'sh', '-c', busy)).toEqual({
      status: 75,
      stdout: '',
      stderr: 'sai-virtual-lab: button: expected a free line, it is held by sai-virtual-lab hold\n',
    });
    expect(await on('hold', 'button=0', '--', 'no-such-command')).toMatchObject({ status: 127, stdout: '' });
  });

  test('a killed holder lets go', async () => {
    const holder = start(['hold', 'button=0', '--', 'sh', '-c', 'echo held; exec sleep 60'], {
      SIM_CHIP: chip,
    });
    await holder.until('held');
    const [sleeper] = holder.descendants();
    holder.child.kill('SIGKILL');
    if (sleeper) process.kill(sleeper.pid);
    await holder.status;
    expect(await on('press', '--for', '1ms')).toEqual(done);
  });

  test('told to stop, a pulse lets go and answers as a stopped program does', async () => {
    const watch = start(['watch', 'button'], { SIM_CHIP: chip });
    await watch.until('watching button\n');
    const pulse = start(['pulse', 'button', '--for', '1h'], { SIM_CHIP: chip });
    await watch.until(' button 0\n');
    pulse.child.kill('SIGINT');
    expect(await pulse.outcome()).toEqual({ status: 130, stdout: '', stderr: '' });
    await watch.until(' button 1\n');
    watch.child.kill('SIGTERM');
    expect((await watch.outcome()).status).toBe(143);
    expect(watch.stdout).toMatch(/^\d+\.\d{3} button 0\n\d+\.\d{3} button 1\n$/);
  });

  test('the cable is taken out and put back, and the power switched', async () => {
    await using user = new TtyUser(tty);
    expect(await on('unplug')).toEqual(done);
    await user.hungUp;
    expect(existsSync(tty)).toBe(false);
    expect(await on('power', 'off')).toEqual(done);
    expect(await on('plug')).toEqual(done);
    await using again = new TtyUser(tty);
    expect(await on('power', 'on')).toEqual(done);
    expect(await again.until('> ')).toBe('\r\nsai-uno 1.0.0 (reset: power-on)\r\nready\r\n> ');
  });

  test('what goes wrong is told in one line, with the status of whoever has to act', async () => {
    const failures: [number, string[], string][] = [
      [64, ['get', 'rest'], 'rest: expected a line of this chip: reset, button, led'],
      [64, ['pulse', 'led'], 'led: expected a line that can be driven, the board drives it'],
      [
        64,
        ['press', '--for', '100'],
        '--for: expected a duration such as 300ms, 2s, 5m or 8h, with its unit, got "100"',
      ],
      [64, ['hold', 'button', '--', 'true'], 'button: expected LINE=0 or LINE=1'],
      [
        64,
        ['hold', 'button=0'],
        'hold: expected LINE=0|1 ... -- COMMAND, for example: hold button=0 -- sleep 1',
      ],
      [64, ['power', 'up'], 'power: expected on or off, got "up"'],
      [
        69,
        ['get', 'led', '--chip', `${labDir}/no.chip`],
        `${labDir}/no.chip: nobody answers on this socket: `,
      ],
      [
        78,
        ['get', 'led', '--chip', `/tmp/${'x'.repeat(120)}`],
        'expected a socket path of at most 107 bytes',
      ],
    ];
    for (const [status, args, message] of failures) {
      const outcome = await on(...args);
      expect(outcome.stderr).toMatch(/^sai-virtual-lab: [^\n]*\n$/);
      expect(outcome.stderr).toContain(message);
      expect({ args, status: outcome.status, stdout: outcome.stdout }).toEqual({ args, status, stdout: '' });
    }
  });
});

test('bad invocations are refused in one line, and make nothing', async () => {
  const long = join(dir, 'x'.repeat(100));
  const failures: [number, string[], string][] = [
    [64, [], 'expected a command; see sai-virtual-lab --help'],
    [64, ['dance'], "unknown command 'dance'"],
    [64, ['up', '--jsno'], "unknown option '--jsno'"],
    [64, ['lines', '--', 'true'], '--: only up and hold run a command'],
    [
      64,
      ['up', 'unp'],
      'unp: expected a board type, one of uno, u-boot, microbit, linux (did you mean "uno"?)',
    ],
    [64, ['prepare', 'uno'], 'uno: expected a board to prepare: linux'],
    [64, ['up', 'uno:a/b'], 'uno:a/b: expected a name of letters, digits, dots, - and _'],
    [64, ['up', 'uno:a', 'uno:a'], "uno:a: expected each board's name once"],
    [64, ['lines'], 'no chip named: give --chip SOCKET or set SIM_CHIP'],
    [78, ['up', '--dir', long], `${long}/uno-1.chip: expected a socket path of at most 107 bytes, got`],
    [78, ['up', '--dir', '/proc/self/nowhere'], '/proc/self/nowhere: cannot make this folder: '],
  ];
  for (const [status, args, message] of failures) {
    const outcome = await start(args, { XDG_RUNTIME_DIR: dir }).outcome();
    expect(outcome.stderr).toMatch(/^sai-virtual-lab: [^\n]*\n$/);
    expect(outcome.stderr).toContain(message);
    expect({ args, status: outcome.status, stdout: outcome.stdout }).toEqual({ args, status, stdout: '' });
  }
  expect(readdirSync(dir)).toEqual([]);
});

test('what a board needs and is not there is named, with what to do, and nothing is made', async () => {
  const outcome = await start(['up', '--dir', join(dir, 'lab'), 'uno', 'u-boot'], { PATH: dir }).outcome();
  expect(outcome).toMatchObject({ status: 69, stdout: '' });
  expect(outcome.stderr).toMatch(
    /^sai-virtual-lab: u-boot: expected qemu-system-aarch64, .*; install with: sudo apt-get install --no-install-recommends qemu-system-arm .*\n$/,
  );
  expect(readdirSync(dir)).toEqual([]);
});

test('the Linux board says how it is prepared', async (context) => {
  needsBoard(context, 'u-boot'); // and so QEMU
  const outcome = await start(['up', '--dir', dir, 'linux'], { XDG_CACHE_HOME: dir }).outcome();
  expect(outcome).toMatchObject({ status: 69, stdout: '' });
  expect(outcome.stderr).toBe(
    `sai-virtual-lab: linux: expected its kernel in ${dir}/sai-rig/guests, found none; make it once with: sai-virtual-lab prepare linux\n`,
  );
});

test('a failure is noted as a finding', async () => {
  const findings = join(dir, 'findings');
  await start(['reset', '--chip', join(dir, 'no.chip')], { SAI_FINDINGS: findings }).outcome();
  expect(readFindings(findings)).toMatchObject([
    { tool: 'sai-virtual-lab', verdict: 'infra', blame: 'unavailable' },
  ]);
});

test('help shows examples', async () => {
  const { status, stdout, stderr } = await start(['--help']).outcome();
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('sai-virtual-lab hold button=0 -- ctest');
});
