import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RecordingBoard } from '../peers/recording-board.ts';
import { RunningJig } from '../peers/running-jig.ts';
import { type Outcome, ROOT, runCommand } from '../peers/running-lab.ts';
import { answering, dying, hanging, obedient, ScriptedPlug } from '../peers/scripted-plug.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

function saiJig(...args: string[]): Promise<Outcome> {
  return runCommand(join(ROOT, 'bin/sai-jig'), args, { env: process.env });
}

function config(power: object, ...seq: object[]): object {
  const sequences = [
    { name: 'on', seq: [{ power: 'on' }] },
    { name: 'off', seq: [{ power: 'off' }] },
    { name: 'hold', seq: [{ power: 'on' }, { value: '1m' }] },
    { name: 'go', seq },
  ];
  return { targets: [{ name: 'dut', gpios: [], power, sequences }] };
}

function tasmota(plug: ScriptedPlug, more: object = {}): object {
  return { kind: 'tasmota', url: plug.url, safe: 'off', ...more };
}

describe('a plug', () => {
  test('is safe at the start, is switched by steps, and is safe again when the jig is stopped', async () => {
    const plug = await ScriptedPlug.start();
    const jig = await RunningJig.start(tempFolder(), config(tasmota(plug)));
    expect(plug.switched).toEqual(['off']);
    expect((await jig.ask('/dut/on')).status).toBe(200);
    expect((await jig.ask('/targets/dut')).body['power']).toBe('on');
    const held = jig.ask('/dut/hold');
    await until(() => plug.switched.length === 3, 'it is told again');
    expect(await jig.stop('SIGTERM')).toBe(143);
    expect(await held).toMatchObject({ status: 503, body: { code: 'stopping' } });
    expect(plug.switched).toEqual(['off', 'on', 'on', 'off']);
  });

  test('that outlives a jig that was killed is made safe by sai-jig --safe, and by the next start', async () => {
    const folder = tempFolder();
    const plug = await ScriptedPlug.start();
    const jig = await RunningJig.start(folder, config(tasmota(plug)));
    expect((await jig.ask('/dut/on')).status).toBe(200);
    const held = jig.ask('/dut/hold');
    await until(() => plug.switched.length === 3, 'the sequence runs');
    expect(await jig.stop('SIGKILL')).toBe('SIGKILL');
    expect((await held).count).toBe(0);
    expect(plug.isOn).toBe(true);
    const safe = await saiJig('--config', join(folder, 'jig.json'), '--quiet', '--safe');
    expect(safe).toMatchObject({ status: 0, stderr: '' });
    expect(plug.isOn).toBe(false);
    plug.isOn = true;
    await RunningJig.start(folder, config(tasmota(plug)));
    expect(plug.isOn).toBe(false);
  });

  test('that does not answer stops neither the jig nor its start, fails the step, and works once it is back', async () => {
    const folder = tempFolder();
    const plug = await ScriptedPlug.start();
    await plug.stop();
    const jig = await RunningJig.start(folder, config(tasmota(plug)));
    const reason = `${plug.url}/cm: connect ECONNREFUSED 127.0.0.1:${plug.port}; is it on, and does the network reach it?`;
    const remark = `sai-jig: cannot make its power safe: dut: ${reason}\n`;
    await until(() => jig.stderr.includes(remark), 'it says so');
    expect(await jig.ask('/dut/on')).toEqual({
      count: 1,
      status: 503,
      body: { error: `dut: on: seq.0: power on: ${reason}`, code: 'peer-unavailable' },
    });
    const safe = await saiJig('--config', join(folder, 'jig.json'), '--safe');
    expect(safe).toMatchObject({
      status: 69,
      stderr: `sai-jig: dut: cannot make its power safe: ${reason}\nsai-jig: dut: ${reason}\n`,
    });
    const back = await ScriptedPlug.start(plug.port);
    expect((await jig.ask('/dut/on')).status).toBe(200);
    expect(back.isOn).toBe(true);
  });

  test('is switched back at the end of a run without the daemon, which says so', async () => {
    const folder = tempFolder();
    const plug = await ScriptedPlug.start();
    const file = join(folder, 'jig.json');
    const chip = join(folder, 'dut.chip');
    const board = new RecordingBoard(['boot'], []);
    await using _server = await board.serve(chip);
    const boot = (value: 0 | 1): object => ({ gpio_name: 'boot', value });
    const target = (safe: string): object => ({
      name: 'dut',
      gpios: [{ name: 'boot', chip, line: 'boot' }],
      power: tasmota(plug, { safe }),
      sequences: [
        { name: 'all', seq: [{ power: 'on' }, boot(1)] },
        { name: 'on', seq: [{ power: 'on' }] },
        { name: 'boot', seq: [boot(1)] },
        { name: 'nothing', seq: [{ power: 'on' }, boot(1), { power: 'off' }, boot(0)] },
      ],
    });
    const back = '; its power goes back to off, which the daemon would keep';
    const cases = [
      ['off', 'all', `${back}; let go of: boot`],
      ['off', 'on', back],
      ['off', 'boot', '; let go of: boot'],
      ['off', 'nothing', ''],
      ['keep', 'on', ''],
      ['on', 'on', ''],
    ] as const;
    for (const [safe, sequence, told] of cases) {
      writeFileSync(file, JSON.stringify({ schema: 'sai-jig', targets: [target(safe)] }));
      const { status, stderr } = await saiJig('--config', file, 'run', `dut/${sequence}`);
      expect({ status, stderr: stderr.replace(/\d+ ms/, 'N ms') }).toEqual({
        status: 0,
        stderr: `sai-jig: dut/${sequence}: done in N ms${told}\n`,
      });
      expect(plug.isOn).toBe(safe !== 'off');
      expect(board.lines.levelOf('boot')).toBe(0);
    }
  });

  test('that is away is said once by a run that fails without the daemon, before why it failed', async () => {
    const folder = tempFolder();
    const plug = await ScriptedPlug.start();
    await plug.stop();
    const file = join(folder, 'jig.json');
    writeFileSync(file, JSON.stringify({ schema: 'sai-jig', ...config(tasmota(plug)) }));
    const reason = `${plug.url}/cm: connect ECONNREFUSED 127.0.0.1:${plug.port}; is it on, and does the network reach it?`;
    expect(await saiJig('--config', file, 'run', 'dut/on')).toMatchObject({
      status: 69,
      stderr: `sai-jig: dut: cannot make its power safe: ${reason}\nsai-jig: dut: on: seq.0: power on: ${reason}\n`,
    });
  });

  test('that hangs or lies fails the step, and is made safe before that is answered', async () => {
    const plug = await ScriptedPlug.start();
    const jig = await RunningJig.start(tempFolder(), config(tasmota(plug, { within: '5s' })));
    for (const [behaviour, status, code] of [
      [hanging, 503, 'peer-unavailable'],
      [dying, 503, 'peer-unavailable'],
      [answering(200, '{"POWER":"OFF"}'), 502, 'peer-answer'],
      [answering(404, ''), 502, 'peer-answer'],
    ] as const) {
      const before = plug.switched.length;
      plug.behaviour = (...args) => {
        plug.behaviour = obedient;
        behaviour(...args);
      };
      expect(await jig.ask('/dut/on')).toMatchObject({ count: 1, status, body: { code } });
      expect(plug.switched.slice(before).at(-1)).toBe('off');
      expect((await jig.ask('/targets/dut')).body['power']).toBe('off');
    }
  });

  test('is made safe by an abort while it is slow, and by a client that goes away', async () => {
    const plug = await ScriptedPlug.start();
    const jig = await RunningJig.start(tempFolder(), config(tasmota(plug)));
    plug.behaviour = (self, request, response) => {
      if (request.url?.endsWith('On')) self.obey(request);
      else obedient(self, request, response);
    };
    const held = jig.ask('/dut/on');
    await until(() => plug.isOn, 'it is on, and has not said so');
    expect((await jig.ask('/targets/dut/abort', { method: 'POST' })).status).toBe(200);
    expect(await held).toMatchObject({ status: 410, body: { code: 'aborted' } });
    expect(plug.isOn).toBe(false);
    plug.behaviour = obedient;
    const seen = until(() => plug.isOn, 'it is on');
    await jig.ask('/dut/hold?on-disconnect=abort', { hangUp: seen });
    await until(() => !plug.isOn, 'it is off');
  });

  test('is made safe by sai-jig --safe also when a chip is away, and is not while a jig has the lines', async () => {
    const folder = tempFolder();
    const plug = await ScriptedPlug.start();
    const chip = join(folder, 'dut.chip');
    const target = {
      name: 'dut',
      gpios: [{ name: 'reset', chip, line: 'reset' }],
      power: tasmota(plug),
      sequences: [{ name: 'on', seq: [{ power: 'on' }] }],
    };
    const file = join(folder, 'jig.json');
    const away = { schema: 'sai-jig', iface: '127.0.0.1', port: 0, targets: [target] };
    writeFileSync(file, JSON.stringify(away));
    expect(await saiJig('--config', file, '--safe')).toMatchObject({ status: 69 });
    expect(plug.switched).toEqual(['off']);
    const board = new RecordingBoard(['reset'], []);
    await using _server = await board.serve(chip);
    const jig = await RunningJig.startWith('--config', file);
    expect((await jig.ask('/dut/on')).status).toBe(200);
    expect(await saiJig('--config', file, '--safe')).toMatchObject({ status: 75 });
    expect(plug.isOn).toBe(true);
  });

  test('is kept as it is where the config says so', async () => {
    const plug = await ScriptedPlug.start();
    const jig = await RunningJig.start(tempFolder(), config(tasmota(plug, { safe: 'keep' })));
    expect((await jig.ask('/dut/off')).status).toBe(200);
    expect((await jig.ask('/dut/on')).status).toBe(200);
    expect(await jig.stop('SIGTERM')).toBe(143);
    expect(plug.switched).toEqual(['off', 'on']);
  });

  test('is not touched by a second jig on the port of the first', async () => {
    const folder = tempFolder();
    const plug = await ScriptedPlug.start();
    const jig = await RunningJig.start(folder, config(tasmota(plug)));
    expect((await jig.ask('/dut/on')).status).toBe(200);
    const second = await saiJig('--config', join(folder, 'jig.json'), '--port', `${jig.port}`);
    expect(second).toMatchObject({ status: 75, stderr: expect.stringContaining('expected a free port') });
    expect(plug.switched).toEqual(['off', 'on']);
  });

  test('that is not due yet does not keep a jig from being stopped while it starts, and stays as it is', async () => {
    const [prompt, slow] = [await ScriptedPlug.start(), await ScriptedPlug.start()];
    const target = (name: string, power: object): object => ({ name, gpios: [], power, sequences: [] });
    const targets = [
      target('prompt', tasmota(prompt)),
      target('slow', tasmota(slow, { safe: 'on', minOff: '1h' })),
    ];
    const file = join(tempFolder(), 'jig.json');
    writeFileSync(file, JSON.stringify({ schema: 'sai-jig', iface: '127.0.0.1', port: 0, targets }));
    const child = spawn(join(ROOT, 'bin/sai-jig'), ['--config', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const ended = once(child, 'close');
    await until(() => prompt.switched.length === 1, 'it makes power safe');
    child.kill('SIGTERM');
    expect(await ended).toEqual([143, null]);
    expect(stderr).toBe('');
    expect([prompt.switched, slow.switched]).toEqual([['off'], []]);
  });

  test('is not touched by a simulated jig, nor is its password shown by a check', async () => {
    const folder = tempFolder();
    const plug = await ScriptedPlug.start();
    const http = { http: `${plug.url}/x?key=secret`, headers: { authorization: 'secret' }, expect: 204 };
    const jig = await RunningJig.start(
      folder,
      config(tasmota(plug, { password: 'secret' }), http),
      '--backend',
      'simulated',
    );
    expect((await jig.ask('/dut/on')).status).toBe(200);
    expect((await jig.ask('/dut/go')).status).toBe(200);
    expect(plug.asked).toEqual([]);
    for (const more of [[], ['--json']]) {
      const args = ['--config', join(folder, 'jig.json'), '--check', ...more];
      const { status, stdout } = await saiJig(...args);
      expect(status).toBe(0);
      expect(stdout).not.toContain('"secret"');
    }
    expect(plug.switched).toEqual([]);
    expect(plug.asked.map((path) => path.replace(/^.*&/, ''))).toEqual(['cmnd=Power', 'cmnd=Power']);
  });
});

const ASK = '/cm?cmnd=Power';

test('a check asks every outlet for its state, at the same time, and switches none', async () => {
  const folder = tempFolder();
  const file = join(folder, 'jig.json');
  const plugs = await Promise.all([0, 1, 2].map(async () => await ScriptedPlug.start()));
  const [good, slow, gone] = plugs as [ScriptedPlug, ScriptedPlug, ScriptedPlug];
  slow.behaviour = hanging;
  await gone.stop();
  const command = { kind: 'command', on: ['true', 'on'], off: ['true'], safe: 'keep' };
  const liar = { ...command, on: ['true', '1'], state: ['echo', 'maybe'] };
  const powers = [
    tasmota(good),
    tasmota(slow, { within: '1s' }),
    tasmota(gone),
    command,
    liar,
    { ...command, on: ['true', '2'], state: ['echo', 'off'] },
  ];
  const step = { http: `${good.url}/never` };
  const seq = [{ power: 'on' }, step];
  const targets = powers.map((power, index) => ({
    name: `dut${index}`,
    gpios: [],
    power,
    sequences: [{ name: 'go', seq }],
  }));
  writeFileSync(file, JSON.stringify({ schema: 'sai-jig', targets }));
  const args = ['--config', file, '--check'];
  const [text, json] = await Promise.all([saiJig(...args), saiJig(...args, '--json')]);
  const { status, stdout, stderr } = text;
  expect(stderr.split('\n')).toEqual([
    `sai-jig: dut1: power: ${slow.url}/cm: expected an answer within 1 s, got none; is it on, and does the network reach it?`,
    `sai-jig: dut2: power: ${gone.url}/cm: connect ECONNREFUSED 127.0.0.1:${gone.port}; is it on, and does the network reach it?`,
    'sai-jig: dut4: power: echo maybe: expected on or off, got "maybe"',
    '',
  ]);
  expect(status).toBe(69);
  expect(stdout).toMatch(/: valid; port 44000\n/);
  expect(stdout).toMatch(
    /\npower of dut0: on\n {2}dut3: command true on was not asked: it has no "state"\npower of dut5: off\n$/,
  );
  expect(plugs.map(({ asked }) => asked)).toEqual([[ASK, ASK], [ASK, ASK], []]);
  expect(json).toMatchObject({ status: 69, stderr });
  expect(JSON.parse(json.stdout)).toMatchObject({
    targets: [{ power: { state: 'on' } }, {}, {}, {}, {}, { power: { state: 'off' } }],
    findings: [
      { code: 'power-unreachable', blame: 'unavailable', target: 'dut1' },
      { code: 'power-unreachable', blame: 'unavailable', target: 'dut2' },
      { code: 'power-not-asked', target: 'dut3' },
      { code: 'power-unreachable', blame: 'protocol', target: 'dut4' },
    ],
  });
});

describe('a port of a USB hub', () => {
  test('is made safe by sai-jig --safe after a kill, with the uhubctl of the PATH', async () => {
    const folder = tempFolder();
    const program = join(folder, 'uhubctl');
    // Remembers what it was told, as a hub does.
    writeFileSync(
      program,
      `#!/bin/sh
echo "$6" > ${folder}/state
[ "$6" = on ] && status="0100 power" || status="0000 off"
printf 'Current status for hub 1-1 [x]\\n  Port 2: 0100 power\\nNew status for hub 1-1 [x]\\n  Port 2: %s\\n' "$status"
`,
    );
    chmodSync(program, 0o755);
    const state = (): string => readFileSync(join(folder, 'state'), 'utf8').trim();
    const { PATH } = process.env;
    process.env['PATH'] = `${folder}:${PATH}`;
    try {
      const hub = { kind: 'uhubctl', location: '1-1', port: 2, safe: 'off' };
      const jig = await RunningJig.start(folder, config(hub));
      expect(state()).toBe('off');
      expect((await jig.ask('/dut/on')).status).toBe(200);
      expect(state()).toBe('on');
      await jig.stop('SIGKILL');
      expect(state()).toBe('on');
      const args = ['--config', join(folder, 'jig.json'), '--safe'];
      expect(await saiJig(...args)).toMatchObject({ status: 0 });
      expect(state()).toBe('off');
    } finally {
      process.env['PATH'] = PATH;
    }
  });
});

describe('an http step', () => {
  test('asks a server, and fails with what it says instead of what is expected', async () => {
    const plug = await ScriptedPlug.start();
    plug.behaviour = answering(204, '');
    const power = { kind: 'command', on: ['true'], off: ['true'], safe: 'keep' };
    const step = { http: `${plug.url}/relay/3`, method: 'POST', body: '{}', expect: 204 };
    const jig = await RunningJig.start(tempFolder(), config(power, step));
    expect((await jig.ask('/dut/go')).status).toBe(200);
    expect(plug.asked).toEqual(['/relay/3']);
    plug.behaviour = answering(500, '');
    expect(await jig.ask('/dut/go')).toEqual({
      count: 1,
      status: 502,
      body: {
        error: `dut: go: seq.0: POST ${plug.url}/relay/3: expected 204, got 500`,
        code: 'peer-answer',
      },
    });
  });
});

describe('an outlet that commands switch', () => {
  test('fails where nothing can be started any more, and works once it can', async () => {
    const power = { kind: 'command', on: ['true'], off: ['true'], safe: 'off' };
    const jig = await RunningJig.start(tempFolder(), config(power));
    const { pid } = jig.child;
    const limit = (descriptors: number): void =>
      void execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${descriptors}:`]);
    // One is free, for the connection.
    const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
    const [, second = 0] = Array.from({ length: open.size + 2 }, (_, fd) => fd).filter((fd) => !open.has(fd));
    limit(second);
    expect(await jig.ask('/dut/on')).toEqual({
      count: 1,
      status: 503,
      body: {
        error: 'dut: on: seq.0: power on: true: cannot be started: spawn true EMFILE',
        code: 'peer-unavailable',
      },
    });
    limit(256);
    expect((await jig.ask('/dut/on')).status).toBe(200);
    expect(await jig.stop('SIGTERM')).toBe(143);
  });
});
