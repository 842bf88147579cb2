import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { packageFile } from '../../src/base/package-file.ts';
import { readFindings } from '../../src/findings/findings-file.ts';
import { needsProgram, whyNoLibgpiod } from '../peers/needs.ts';
import { RecordingBoard } from '../peers/recording-board.ts';
import { RunningJig } from '../peers/running-jig.ts';
import { type Outcome, ROOT, runCommand, startLab } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

const EXAMPLE = packageFile('conf/jig.example.json');
const { SAI_FINDINGS: _findings, SAI_JIG_CONF: _conf, ...env } = process.env;

function saiJig(...args: string[]): Promise<Outcome> {
  return runCommand(join(ROOT, 'bin/sai-jig'), args, { env });
}

function configFile(config: object): string {
  const file = join(tempFolder(), 'jig.json');
  writeFileSync(file, JSON.stringify({ schema: 'sai-jig', port: 0, iface: '127.0.0.1', ...config }));
  return file;
}

function oneTarget(gpio: object): object {
  const sequences = [{ name: 'reset', seq: [{ pulse: 'reset', for: 5 }] }];
  return { targets: [{ name: 'dut', gpios: [{ name: 'reset', ...gpio }], sequences }] };
}

describe('sai-jig', () => {
  test('says what is wrong in one line, with the status of whoever has to act, and leaves a finding', async () => {
    const folder = tempFolder();
    const chip = join(folder, 'dut.chip');
    const board = new RecordingBoard(['reset'], ['led']);
    await using _server = await board.serve(chip);
    const good = configFile(oneTarget({ chip, line: 'reset' }));
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const holder = await RunningJig.startWith('--config', good, '--port', '0');
    const findings = join(folder, 'findings');
    const cases: [args: string[], status: number, message: string | RegExp][] = [
      [
        ['--config', join(folder, 'none')],
        78,
        `${join(folder, 'none')}: expected a config file, found none; write one or name another with --config`,
      ],
      [
        ['--config', configFile({ targets: [{}] })],
        78,
        /jig\.json: targets\.0\.name: expected a string, got nothing$/,
      ],
      [
        ['--config', configFile({ targets: [], iface: 'eth99' })],
        78,
        /jig\.json: iface: expected an address or an interface of this host, one of .*, got "eth99"$/,
      ],
      [
        ['--config', configFile({ targets: [], iface: '192.0.2.1' })],
        69, // the unit tries again: after a power cut the network is the last to come
        '192.0.2.1:0: expected an address of this host, it is none; is it right, and the network up?',
      ],
      [
        ['--config', configFile({ targets: [] }), '--port', `${port}`],
        75,
        `127.0.0.1:${port}: expected a free port, somebody listens there; stop it or give another --port`,
      ],
      [
        ['--config', good, '--port', '0'],
        75,
        `${chip}: reset: expected a free line, it is held by sai-jig dut`,
      ],
      [['--config', good, '--safe'], 75, `${chip}: reset: expected a free line, it is held by sai-jig dut`],
      [
        ['--config', configFile(oneTarget({ chip, line: 'rest' }))],
        78,
        `dut/reset: expected a line of ${chip}, one of reset, led, got "rest"`,
      ],
      [
        ['--config', configFile(oneTarget({ chip, line: 'led' }))],
        78,
        `${chip}: led: expected a line that can be driven, the board drives it`,
      ],
      [
        ['--config', configFile(oneTarget({ chip: './none.chip', offset: 0 }))],
        69,
        /none\.chip: nobody answers on this socket: connect ENOENT/,
      ],
      [
        ['--config', configFile(oneTarget({ chip_index: 99, offset: 17 }))],
        69,
        /^chip 99: expected a GPIO chip/,
      ],
      [
        ['--config', configFile(oneTarget({ chip: 'no such chip', line: 'GPIO17' }))],
        69,
        /^chip no such chip: expected a GPIO chip/,
      ],
      [['--nonsense'], 64, "unknown option '--nonsense'; see sai-jig --help"],
      [['--port', 'x'], 64, '--port: expected a number up to 65535, got "x"; see sai-jig --help'],
      [['--check', '--safe'], 64, 'expected one thing to do, got --check and --safe; see sai-jig --help'],
      [['walk'], 64, 'expected "run TARGET/SEQUENCE" or nothing, got "walk"; see sai-jig --help'],
      [
        ['--config', good, 'run', 'dut/rest'],
        64,
        'dut/rest: expected a sequence of dut, one of reset (did you mean "reset"?)',
      ],
      [
        ['--config', good, '--dry-run', 'dtu/reset'],
        64,
        'dtu/reset: expected TARGET/SEQUENCE, the target one of dut (did you mean "dut"?)',
      ],
      [
        ['--config', good, '--simulate', 'dut/rest'],
        64,
        'dut/rest: expected a sequence of dut, one of reset (did you mean "reset"?)',
      ],
      [
        ['--config', EXAMPLE, '--simulate', 'esp32-1/reset', '--set', 'reset=1'],
        64,
        '--set: expected NAME=0 or NAME=1, the name of an input of esp32-1, one of ready, got "reset=1"',
      ],
      [
        ['--config', good, '--set', 'x=1'],
        64,
        '--set: expected --simulate TARGET/SEQUENCE with it; see sai-jig --help',
      ],
      [
        ['--simulate', 'dut/reset', '--check'],
        64,
        'expected one thing to do, got --check and --simulate; see sai-jig --help',
      ],
    ];
    // In pairs: each is a process, and there are two cores.
    for (let at = 0; at < cases.length; at += 2) {
      await Promise.all(
        cases.slice(at, at + 2).map(async ([args, status, message]) => {
          const outcome = await runCommand(join(ROOT, 'bin/sai-jig'), args, {
            env: { ...env, SAI_FINDINGS: findings },
          });
          const line = outcome.stderr.replace(/^sai-jig: (.*)\n$/, '$1');
          expect({ args, status: outcome.status, stdout: outcome.stdout }).toEqual({
            args,
            status,
            stdout: '',
          });
          if (typeof message === 'string') expect(line).toBe(message);
          else expect(line).toMatch(message);
          expect(line).not.toContain('\n');
        }),
      );
    }
    expect(readFindings(findings).map(({ tool }) => tool)).toEqual(cases.map(() => 'sai-jig'));
    expect(await holder.stop('SIGTERM')).toBe(143);
  });

  test('says what --backend libgpiod needs, where it is not', async () => {
    const folder = tempFolder();
    copyFileSync(join(ROOT, 'dist/jig.cjs'), join(folder, 'jig.cjs')); // beside no packages
    const config = configFile(oneTarget({ chip_index: 0, offset: 1 }));
    const args = [join(folder, 'jig.cjs'), '--config', config, '--backend', 'libgpiod', '--safe'];
    expect(await runCommand(process.execPath, args, { env })).toEqual({
      status: 69,
      stdout: '',
      stderr:
        "sai-jig: node-libgpiod: expected it to be installed and built, Cannot find module 'node-libgpiod'; install libgpiod-dev (libgpiod 1.x), then npm rebuild node-libgpiod --ignore-scripts=false\n",
    });
  });

  test('says that libgpiod works in one thread only, where another has it', async (context) => {
    const why = whyNoLibgpiod();
    context.skip(why !== undefined, why);
    const first = join(tempFolder(), 'first.cjs');
    const library = createRequire(import.meta.url).resolve('node-libgpiod');
    writeFileSync(
      first,
      `const { Worker, isMainThread } = require('node:worker_threads');
       const loaded = new Int32Array(new SharedArrayBuffer(4));
       const program = "require('${library}'); const { workerData } = require('node:worker_threads');" +
         'Atomics.store(workerData, 0, 1); Atomics.notify(workerData, 0); setInterval(() => {}, 1e6);';
       if (isMainThread) {
         new Worker(program, { eval: true, workerData: loaded }).unref();
         Atomics.wait(loaded, 0, 0);
       }`,
    );
    const config = configFile(oneTarget({ chip_index: 0, offset: 1 }));
    const args = ['--config', config, '--backend', 'libgpiod', '--safe'];
    const options = { env: { ...env, NODE_OPTIONS: `--require ${first}` } };
    expect(await runCommand(join(ROOT, 'bin/sai-jig'), args, options)).toEqual({
      status: 69,
      stdout: '',
      stderr:
        'sai-jig: node-libgpiod: expected no other thread of this process to have it, one does; it works in one at a time, so let that one end, or use --backend uapi\n',
    });
  });

  test('checks a config, and prints what it comes to', async () => {
    const example = ['--config', EXAMPLE, '--backend', 'simulated', '--check'];
    const { status, stdout, stderr } = await saiJig(...example);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(
      '  reset (EN): chip 0, line 17: output, open-drain, safe inactive, active for at most 2 s, active low, pull-up\n',
    );
    expect(stdout).toContain(
      '  three-knocks: boot=1 for 20 ms, pause 80 ms, boot=1 for 20 ms, pause 80 ms, boot=1 for 20 ms, pause 80 ms\n',
    );
    expect(stdout).toContain("    reset: pull-up to the board's rail (4.7 kΩ): safe is high\n");
    expect(stdout).toMatch(/\nremarks\n(?: {2}.*\n)*$/);
    const json = await saiJig(...example, '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      port: 44_000,
      targets: [
        {
          name: 'esp32-1',
          lines: [{ wiring: { resistor: 'pull-up', ohms: 4700, safeLevel: 'high' } }, {}, {}],
        },
        { name: 'pump-1' },
        { name: 'esp32-2' },
        { name: 'uno-1' },
      ],
      findings: [
        { severity: 'remark', code: 'left-active', target: 'esp32-1', sequence: 'bootloader', line: 'boot' },
        { severity: 'remark', code: 'left-active', target: 'pump-1', sequence: 'drain', line: 'pump-out' },
        { severity: 'remark', code: 'unused', target: 'esp32-2', line: 'supply' },
      ],
    });
  });

  test('says in a check that nobody can listen where the config says', async () => {
    const there = (iface: string): Promise<Outcome> =>
      saiJig('--check', '--config', configFile({ targets: [], iface }));
    const [missing, elsewhere, here] = await Promise.all(['nope0', '192.0.2.7', 'lo'].map(there));
    expect(missing).toMatchObject({
      status: 78,
      stderr: expect.stringMatching(/: iface: expected an address or an interface .*, got "nope0"\n$/),
    });
    expect(elsewhere).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /\nremarks\n {2}iface: expected an address .*, got "192\.0\.2\.7"; while /,
      ),
    });
    expect(here).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^.*: valid; port 0\n$/),
      stderr: '',
    });
  });

  test('shows nothing of a config that is secret, and says what is wrong with one that cannot be read', async () => {
    const power = {
      kind: 'tasmota',
      url: 'http://127.0.0.1:1/cm?password=hush',
      password: 'hush',
      safe: 'keep',
    };
    const call = { http: 'http://127.0.0.1:1/x?key=hush', body: 'hush', headers: { Authorization: 'hush' } };
    const target = { name: 'a', gpios: [], power, sequences: [{ name: 'go', seq: [call] }] };
    const secret = configFile({ targets: [target], tokens: ['hush-hush-hush-hush'] });
    const wrong = configFile({ targets: [], tokens: ['hush'] });
    const cases = [secret, wrong, join(tempFolder(), 'none')].flatMap((file) => [[file], [file, '--json']]);
    const outcomes = await Promise.all(cases.map((args) => saiJig('--check', '--config', ...args)));
    for (const { stdout, stderr } of outcomes) expect(stdout + stderr).not.toContain('hush');
    expect(outcomes.map(({ status }) => status)).toEqual([69, 69, 78, 78, 78, 78]);
    const [text, , , refused, , unread] = outcomes;
    expect(text?.stdout).toContain('  power: plug http://127.0.0.1:1/cm, kept as it is\n');
    for (const outcome of [refused, unread]) {
      const { findings } = JSON.parse(outcome?.stdout ?? '') as { findings: { text: string }[] };
      expect(outcome?.stderr).toBe(findings.map((each) => `sai-jig: ${each.text}\n`).join(''));
    }
  });

  test('says all that is wrong with a config, each in a line, and in a finding of --json', async () => {
    const gpios = [
      { name: 'reset', chip_index: 0, offset: 1, maxActive: '1s' },
      { name: 'power', chip: 'gpiochip0', offset: 1 },
      { name: 'boot', chip_index: 0, offset: 3 },
    ];
    const hold = {
      name: 'hold',
      seq: [{ gpio_name: 'reset', value: 1 }, { value: '2s' }, { set: { boot: 1 } }],
    };
    const misspelt = configFile({ targets: [{ name: 'a', gpio: [], sequences: {} }], prot: 1 });
    const wrong = configFile({
      targets: [
        {
          name: 'a',
          gpios: [{ name: 'x', offset: 1 }],
          sequences: [{ name: 'go', seq: [{ pulse: 'x', for: 1 }] }],
        },
        {
          name: 'b',
          gpios,
          sequences: [
            hold,
            { name: 'go', seq: [{ pulse: 'rest', for: 1 }, {}] },
            { name: 'on', seq: [{ power: 'on' }] },
          ],
        },
      ],
    });
    const certain = configFile({
      targets: [{ name: 'b', gpios, interlocks: [['reset', 'boot']], sequences: [hold] }],
    });
    const cases: [file: string, findings: (string | RegExp)[]][] = [
      [
        misspelt,
        [
          'targets.0: unknown key "gpio" (did you mean "gpios"?)',
          'unknown key "prot" (did you mean "port"?)',
          'targets.0.gpios: expected an array, got nothing',
          'targets.0.sequences: expected array, got {}',
        ],
      ],
      [
        wrong,
        [
          'targets.0.gpios.0: expected one of chip, chip_index and chip_idx, got neither',
          'targets.1.sequences.1.seq.0.pulse: expected a line of this target, one of reset, power, boot, got "rest" (did you mean "reset"?)',
          'targets.1.sequences.2.seq.0.power: expected a target with the key "power", this one has none',
        ],
      ],
      [
        certain,
        [
          'b/hold: seq.2: boot=1: expected at most one of boot and reset active, got both; set reset to 0 first, or in the same step',
          'b/hold: seq.0: reset=1: expected reset active for less than its maxActive, 1 s, got 2 s',
          'chip gpiochip0, line 1: expected each line of a chip once, got it as b/reset and b/power',
        ],
      ],
    ];
    await Promise.all(
      cases.map(async ([file, expected]) => {
        const args = ['--config', file, '--backend', 'simulated', '--check', '--json'];
        const { status, stdout, stderr } = await saiJig(...args);
        expect(stderr.split('\n')).toEqual([...expected.map((text) => `sai-jig: ${file}: ${text}`), '']);
        expect(status).toBe(78);
        const { findings } = JSON.parse(stdout) as { findings: { severity: string }[] };
        const errors = findings.filter(({ severity }) => severity === 'error');
        expect(errors).toHaveLength(expected.length);
      }),
    );
  });

  test('draws when a sequence does what', async () => {
    const { status, stdout } = await saiJig('--config', EXAMPLE, '--dry-run', 'esp32-1/bootloader');
    expect(status).toBe(0);
    expect(stdout).toBe(`esp32-1/bootloader
  ms  reset  boot
   0  0      -     start, if all is safe
   0  0      1     boot=1
   0  1      1     reset=1 for 100 ms
 100  0      1     reset back to 0
 150  0      0     boot=0
 150  0      0     end
(1 active, 0 inactive, - let go of; 1 is the low level of reset, boot)
`);
  });

  test('draws what each line carries, as wide as the terminal and in its characters', async (context) => {
    needsProgram(context, 'script');
    const args = ['--config', EXAMPLE, '--simulate', 'esp32-1/bootloader'];
    const locale = { ...env, LC_ALL: '', LC_CTYPE: '', LANG: 'C.UTF-8', COLUMNS: '48' };
    const bin = join(ROOT, 'bin/sai-jig');
    const runs = [
      runCommand(bin, args, { env: locale }),
      runCommand(bin, args, { env: { ...locale, LC_CTYPE: 'C' } }),
      runCommand(bin, [...args, '--ascii'], { env: locale }),
      runCommand(bin, args, { env: { ...locale, COLUMNS: '' } }),
      // A terminal knows better.
      runCommand('script', ['-qec', `stty cols 60 && ${bin} ${args.join(' ')}`, '/dev/null'], {
        env: locale,
      }),
    ];
    const [wave, plain, asked, wide, terminal] = (await Promise.all(runs)).map(({ status, stdout }) => {
      expect(status).toBe(0);
      return stdout.replaceAll('\r', '');
    });
    expect(wave).toBe(`esp32-1/bootloader

reset (1=low) ┄┄┄┄┄┄╲▁▁▁▁▁▁▁▁▁▁▁▁▁▁╱┄┄┄┄┄┄┄┄┄┄┄┄
boot (1=low)  ┄┄┄╲▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁╱▔▔
ready (in)    ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
              ───┴──┴──────────────┴─────────┴──
step             1  2              3         4
ms               0                 100       150

 1    0 ms  boot=1
 2    0 ms  reset=1 for 100 ms
 3  100 ms  reset back to 0
 4  150 ms  boot=0
    150 ms  end

(▔ high, ▁ low, ┄ let go of; 1 is the low level of reset, boot; time is not to scale)
`);
    expect(readFileSync(join(ROOT, 'docs/jig.md'), 'utf8')).toContain(wave?.replaceAll(/^(?=.)/gm, '    '));
    expect(plain).toMatch(/\nreset \(1=low\) \.+\\_+\/\.+\n/);
    expect(asked).toBe(plain);
    expect([wave, wide, terminal].map((text) => text?.split('\n')[2]?.length)).toEqual([48, 80, 60]);
  });

  test('plays the engine itself when it simulates, so what fails on a board fails there', async () => {
    const example = ['--config', EXAMPLE, '--simulate', 'esp32-1/boot-and-check'];
    const [failed, entries] = await Promise.all([
      saiJig(...example, '--ascii', '--set', 'ready=0'),
      saiJig(...example, '--json'),
    ]);
    expect(failed).toMatchObject({
      status: 1,
      stderr:
        'sai-jig: esp32-1: boot-and-check: seq.1: wait for ready rising within 5000 ms: it did not come; ready is 0\n',
    });
    expect(failed.stdout).toContain('\n    5100 ms  failed; all is made safe\n');
    expect(entries).toMatchObject({ status: 0, stderr: '' });
    const lines = entries.stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { event: 'level', line: 'reset', level: 1, value: 0, letGo: true },
      { event: 'level', line: 'boot' },
      { event: 'level', line: 'ready', level: 0 },
      { event: 'level', line: 'reset', level: 0, value: 1, letGo: false },
      { event: 'step', atMs: 0, text: 'reset=1 for 100 ms' },
      { event: 'level', line: 'reset', atMs: 100, letGo: true },
      { event: 'step', atMs: 100, text: 'reset back to 0' },
      { event: 'level', line: 'ready', level: 1 },
      { event: 'step', text: 'wait for ready rising within 5000 ms' },
      { event: 'step', text: 'wait for ready=1 within 100 ms' },
      { event: 'end', atMs: 100 },
    ]);
  });

  test('runs any config on simulated chips, also that of the original', async () => {
    const jig = await RunningJig.startWith('--config', EXAMPLE, '--backend', 'simulated', '--port', '0');
    const headers = { authorization: 'Bearer 2f6b1c9e-change-me-77aa', 'sai-fence': '7' };
    expect(await jig.ask('/esp32-1/bootloader', { headers })).toMatchObject({
      status: 200,
      body: { outcome: 'done' },
    });
    expect((await jig.ask('/esp32-1/bootloader')).status).toBe(401);
    expect(await jig.stop('SIGINT')).toBe(130);
    const original = configFile({
      port: 44_000,
      targets: [
        {
          name: 'linkit-7697-1',
          gpios: [{ chip_index: 0, name: 'nReset', offset: 17, wire: 'RST', safe: 0 }],
          sequences: [{ name: 'go', seq: [{ gpio_name: 'nReset', value: 1 }, { value: 3 }] }],
        },
      ],
    });
    const played = await saiJig('--config', original, '--backend', 'simulated', 'run', 'linkit-7697-1/go');
    expect(played).toMatchObject({ status: 0, stdout: '' });
    expect(jig.stderr).toMatch(/^sai-jig: ready on http:\/\/127\.0\.0\.1:\d+\/ with 4 targets\n$/);
  });

  test('plays one sequence without the daemon, and makes lines safe', async () => {
    const folder = tempFolder();
    const chip = join(folder, 'dut.chip');
    const board = new RecordingBoard(['reset'], []);
    await using _server = await board.serve(chip);
    const file = configFile(oneTarget({ chip, line: 'reset', activeLow: true }));
    const run = await saiJig('--config', file, 'run', 'dut/reset');
    expect(run).toMatchObject({ status: 0, stdout: '' });
    expect(run.stderr).toMatch(/^sai-jig: dut\/reset: done in \d+ ms\n$/);
    const drives = board.lines.history.map(({ drive }) => drive);
    expect(drives).toEqual([1, 0, 1, 1, 'released']);
    expect(await saiJig('--config', file, '--safe')).toEqual({
      status: 0,
      stdout: '',
      stderr: 'sai-jig: every line is safe, and let go of\n',
    });
    expect(board.lines.history.slice(drives.length).map(({ drive }) => drive)).toEqual([1, 1, 'released']);
  });

  test('lets go of a line that is safe so, at each of its ends', async () => {
    const folder = tempFolder();
    const chip = join(folder, 'dut.chip');
    const board = new RecordingBoard(['reset'], []);
    await using _server = await board.serve(chip);
    const drives = (): unknown[] => board.lines.history.splice(0).map(({ drive }) => drive);
    const gpio = { chip, line: 'reset', activeLow: true, safe: 'release' };
    const file = configFile(oneTarget(gpio));
    expect(await saiJig('--config', file, 'run', 'dut/reset')).toMatchObject({ status: 0 });
    // Requested, pulsed, back to what it was, safe, and nobody's.
    expect(drives()).toEqual(['released', 0, 'released', 'released', 'released']);
    expect(await saiJig('--config', file, '--safe')).toMatchObject({ status: 0 });
    expect(drives()).toEqual(['released', 'released', 'released']);
    const { stdout } = await saiJig('--config', file, '--dry-run', 'dut/reset');
    expect(stdout).toContain('\n   5  -      reset back to -\n');
    const sequences = [{ name: 'hold', seq: [{ gpio_name: 'reset', value: 1 }] }];
    const held = { name: 'dut', gpios: [{ name: 'reset', ...gpio, maxActive: '1s' }], sequences };
    const jig = await RunningJig.start(folder, { targets: [held] });
    expect((await jig.ask('/dut/hold')).status).toBe(200);
    await until(() => board.lines.history.length === 3, 'it has been active for too long');
    expect(drives()).toEqual(['released', 0, 'released']);
  });

  test('resets a virtual Uno, whose lines nobody else can drive meanwhile', async () => {
    const lab = await startLab('free');
    const jigFile = join(lab.folder, 'lab', 'jig.json');
    const jig = await RunningJig.startWith('--config', jigFile, '--port', '0');
    const run = { env: { ...lab.env, SAI_DEVICE_JIG: `${jig.url}/uno-1` } };
    expect(await jig.ask('/uno-1/reset')).toMatchObject({ count: 1, status: 200, body: { outcome: 'done' } });
    const boot = ['--tty', lab.tty, '--expect', '(reset: external)', '--expect', 'ready'];
    expect(await runCommand('sai-expect', boot, run)).toMatchObject({ status: 0 });
    expect(await runCommand('sai', ['jig', 'run', 'press'], run)).toMatchObject({ status: 0, stdout: '' });
    expect(await runCommand('sai-virtual-lab', ['reset'], run)).toMatchObject({
      status: 75,
      stderr: 'sai-virtual-lab: reset: expected a free line, it is held by sai-jig uno-1\n',
    });
  });
});
