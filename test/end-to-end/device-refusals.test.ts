import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Bench, guardsOf, SAI_DEVICE } from '../peers/bench.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { reachableSaiDevice } from '../peers/reachable-commands.ts';

/** Nothing ran, one line says why, and the findings blame who has to act. */
async function refusal(bench: Bench, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<object> {
  const findings = bench.file('findings');
  const { status, stdout, stderr } = await bench.run(args, { SAI_FINDINGS: findings, ...env });
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^sai-device: [^\n]+\n$/);
  const { verdict, blame, evidence } = JSON.parse(readFileSync(findings, 'utf8')) as Record<string, string>;
  expect(stderr).toBe(`sai-device: ${evidence}\n`);
  expect(guardsOf(bench.runDir)).toEqual([]);
  if (existsSync(bench.runDir)) expect(bench.leftBehind()).toEqual([]);
  return { status, verdict, blame, evidence };
}

const RAN = ['echo', 'ran'];

describe('refused at once, with one line:', () => {
  test.each<[string, string[], string]>([
    ['nothing at all', [], 'expected a device type and a command, got neither; see sai-device --help'],
    [
      'a type alone',
      ['uno'],
      'expected a command after type uno, got none; a type goes before the command; see sai-device --help',
    ],
    [
      'two ways of waiting',
      ['--wait', '1s', '--no-wait', 'uno', ...RAN],
      'expected one of --wait and --no-wait, got both; see sai-device --help',
    ],
    ['an alias alone', ['uno', 'P=0'], 'expected a command after the alias, got none; see sai-device --help'],
    [
      'an option after the type',
      ['uno', '--no-wait', ...RAN],
      'expected a command after type uno, got --no-wait; options go before the type; see sai-device --help',
    ],
    [
      'an unknown flag',
      ['--wat', 'uno', ...RAN],
      "unknown option '--wat' (Did you mean --wait?); see sai-device --help",
    ],
    [
      'a duration without a unit',
      ['--wait', '10', 'uno', ...RAN],
      '--wait: expected a duration such as 300ms, 2s, 5m or 8h, with its unit, got "10"; see sai-device --help',
    ],
    [
      'an index that is none',
      ['uno', 'P=x', ...RAN],
      'P=x: expected the index of a tty, such as P=0; see sai-device --help',
    ],
    [
      'an index too high',
      ['uno', 'P=1', ...RAN],
      'P=1: expected the index of a tty, counted from 0, found 1 tty',
    ],
    [
      'an alias of ours',
      ['uno', 'PATH=0', ...RAN],
      'PATH=0: expected a name other than SAI_*, LD_*, PATH; see sai-device --help',
    ],
    [
      'a flag that lacks another',
      ['--json', 'uno', ...RAN],
      '--json: expected together with --list, --watch, --check, --scan or --doctor; see sai-device --help',
    ],
    [
      'two ways of looking',
      ['--check', '--list'],
      'expected one of --list and --check, got both; see sai-device --help',
    ],
    [
      'looking with a command',
      ['--scan', 'uno', ...RAN],
      '--scan: expected no device type or command, got "uno"; see sai-device --help',
    ],
    [
      'a list of some',
      ['--list', 'uno'],
      '--list: expected no device type or command, got "uno"; see sai-device --help',
    ],
  ])('%s (64)', async (_name, args, evidence) => {
    await using bench = new Bench();
    expect(await refusal(bench, args)).toEqual({ status: 64, verdict: 'fail', blame: 'usage', evidence });
  });

  test('a type that does not exist (78), naming those that do', async () => {
    await using bench = new Bench({}, { name: 'heltec', type: 'esp32' });
    expect(await refusal(bench, ['esp', ...RAN])).toEqual({
      status: 78,
      verdict: 'infra',
      blame: 'config',
      evidence: 'unknown device type "esp" (did you mean "esp32"?); types: uno, esp32',
    });
  });

  test('a config that is missing or broken (78), naming file and line', async () => {
    await using bench = new Bench();
    const none = bench.file('none');
    expect(await refusal(bench, ['--config', none, 'uno', ...RAN])).toMatchObject({
      status: 78,
      evidence: `${none}: expected a config file, found none; write one or name another with --config`,
    });
  });

  test('a config that is a FIFO to which nobody writes (78), at once', async () => {
    await using bench = new Bench();
    const fifo = bench.file('fifo');
    spawnSync('mkfifo', [fifo]);
    // Such a wait would not end with SIGTERM.
    const { status, stderr } = spawnSync(process.execPath, [SAI_DEVICE, '--config', fifo, 'uno', ...RAN], {
      env: bench.env,
      encoding: 'utf8',
      timeout: 20_000,
      killSignal: 'SIGKILL',
    });
    expect({ status, stderr }).toEqual({
      status: 78,
      stderr: `sai-device: ${fifo}: expected a config file, found a device, pipe or socket; write one or name another with --config\n`,
    });
  });

  test('a config with a syntax error (78), naming file and line', async () => {
    await using bench = new Bench();
    bench.configure('{\n  "devices": [ { "name": "uno1" "type": "uno" } ]\n}\n');
    expect(await refusal(bench, ['uno', ...RAN])).toMatchObject({
      status: 78,
      evidence: expect.stringMatching(`^${bench.config}:2:\\d+: expected JSON: `),
    });
  });

  test('a device whose tty is not there (74), naming it', async () => {
    await using bench = new Bench();
    const tty = bench.file('ttyUSB0');
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [tty] }] });
    expect(await refusal(bench, ['uno', ...RAN])).toEqual({
      status: 74,
      verdict: 'infra',
      blame: 'hardware',
      evidence: `uno1: ${tty}: no such tty; plug the board in, or correct the config`,
    });
  });

  test('a device whose tty is another kind of file (78), as --check says it', async () => {
    await using bench = new Bench();
    const tty = bench.file('plain');
    writeFileSync(tty, '');
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [tty] }] });
    expect(await refusal(bench, ['uno', ...RAN])).toMatchObject({
      status: 78,
      evidence: `uno1: ${tty}: expected a tty, found another kind of file; correct the devices config`,
    });
    const { status, stderr } = await bench.run(['--check']);
    expect({ status, stderr }).toEqual({
      status: 78,
      stderr: expect.stringContaining(
        `${bench.config}: devices.0.ttys.0: ${tty}: expected a tty, found another kind of file\n`,
      ),
    });
  });

  test('a tty in a folder that the user may not enter (74), as --doctor and --check say it', async (context) => {
    needsRoot(context, 'to become a user who has none');
    needsProgram(context, 'setpriv');
    await using bench = new Bench();
    const folder = bench.file('private');
    mkdirSync(folder, { mode: 0o700 });
    const tty = `${folder}/tty`;
    symlinkSync(bench.board.ttyPath, tty);
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [tty] }] });
    chmodSync(bench.folder, 0o777);
    const program = reachableSaiDevice();
    const asNobody = (...args: string[]): { status: number | null; stdout: string; stderr: string } => {
      const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, program, ...args];
      return spawnSync('setpriv', nobody, { env: bench.env, encoding: 'utf8' });
    };
    const cure = 'make its folder accessible to this user';
    expect(asNobody('uno', ...RAN)).toMatchObject({
      status: 74,
      stderr: `sai-device: uno1: ${tty}: no permission; ${cure}\n`,
    });
    expect(asNobody('--doctor').stdout).toContain(`problem: uno1: ${tty}: no permission; cure: ${cure}\n`);
    expect(asNobody('--check')).toMatchObject({
      status: 0,
      stderr: `sai-device: advice: ${bench.config}: devices.0.ttys.0: ${tty}: no permission; ${cure}\n`,
    });
  });

  test.for([
    [20, 0o060, 'add this user to group \\S+ \\(usermod -aG \\S+ nobody, then log in again\\)'],
    [20, 0o600, 'have a udev rule give it to a group of the users of the rig: [^\\n]+'],
    [0, 0o060, 'have a udev rule give it to a group of the users of the rig: [^\\n]+'],
  ] as const)(
    'a tty of group %d, mode %o (74), with what gives permission',
    async ([gid, mode, cure], context) => {
      needsRoot(context, 'to become a user who has none');
      needsProgram(context, 'setpriv');
      await using bench = new Bench();
      const { ttyPath } = bench.board;
      chownSync(ttyPath, 0, gid);
      chmodSync(ttyPath, mode);
      chmodSync(bench.folder, 0o777);
      const nobody = [
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        process.execPath,
        reachableSaiDevice(),
        'uno',
        ...RAN,
      ];
      const { status, stdout, stderr } = spawnSync('setpriv', nobody, { env: bench.env, encoding: 'utf8' });
      expect({ status, stdout, stderr }).toEqual({
        status: 74,
        stdout: '',
        stderr: expect.stringMatching(`^sai-device: uno1: ${ttyPath}: no permission; ${cure}\\n$`),
      });
    },
  );

  test('a command that is not there (127), before any wait for a device', async () => {
    await using bench = new Bench();
    const holder = bench.start(['uno', 'sh', '-c', 'echo up; cat']);
    await holder.prints(/up/);
    const { status, stderr } = await bench.run(['uno', 'no-such-command']);
    expect({ status, stderr }).toEqual({
      status: 127,
      stderr: 'sai-device: no-such-command: command not found\n',
    });
    holder.closeInput();
  });

  test('a command that is no program (126)', async () => {
    await using bench = new Bench();
    const script = bench.file('script');
    writeFileSync(script, 'echo ran');
    expect(await refusal(bench, ['uno', script])).toMatchObject({
      status: 126,
      evidence: `${script}: cannot be started: not executable`,
    });
  });

  test('a command whose interpreter is not there (127), after the device was taken and let go', async () => {
    await using bench = new Bench();
    const script = bench.file('script');
    writeFileSync(script, '#!/no/such/interpreter\n', { mode: 0o755 });
    expect(await refusal(bench, ['uno', script])).toMatchObject({ status: 127 });
    expect((await bench.run(['--no-wait', 'uno', 'true'])).status).toBe(0);
  });

  test('a command that is being written (126), after the device was taken and let go', async () => {
    await using bench = new Bench();
    const program = bench.file('program');
    copyFileSync('/bin/true', program);
    const writer = openSync(program, 'r+');
    expect(await refusal(bench, ['uno', program])).toMatchObject({
      status: 126,
      evidence: `${program}: spawn ETXTBSY`,
    });
    closeSync(writer);
    expect((await bench.run(['--no-wait', 'uno', program])).status).toBe(0);
  });

  test('a type that does not exist (78), also when its finding cannot be written, which a line of its own says', async () => {
    await using bench = new Bench();
    const findings = bench.file('none/findings');
    const { status, stderr } = await bench.run(['esp', ...RAN], { SAI_FINDINGS: findings });
    expect({ status, stderr }).toEqual({
      status: 78,
      stderr: `sai-device: ${findings}: cannot append a finding: ENOENT\nsai-device: unknown device type "esp"; types: uno\n`,
    });
    const overtime = ['--max-lease', '100ms', 'uno', 'sleep', '1000'];
    expect((await bench.run(overtime, { SAI_FINDINGS: findings })).status).toBe(75);
  });

  test('a run folder whose path is too long (78)', async () => {
    await using bench = new Bench();
    expect(await refusal(bench, ['uno', ...RAN], { SAI_RUN_DIR: `/tmp/${'x'.repeat(300)}` })).toMatchObject({
      status: 78,
      evidence: expect.stringMatching(/^SAI_RUN_DIR: .*: cannot be used: ENAMETOOLONG/),
    });
  });
});

test('one device of two that is not there does not keep the other from being used', async () => {
  await using bench = new Bench({ ttys: ['/dev/no-such-tty'] }, {});
  expect((await bench.run(['uno', 'sh', '-c', 'echo $SAI_DEVICE_NAME'])).stdout).toBe('uno2\n');
});

test('--version shows that of the package', async () => {
  await using bench = new Bench();
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(await bench.run(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
});

test('--help shows examples on stdout, with status 0', async () => {
  await using bench = new Bench();
  const { status, stdout, stderr } = await bench.run(['--help']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('sai-device uno ctest --output-on-failure -j4');
});
