import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { callHttp } from '../../src/jig/http-call.ts';
import { askerOf, turnerOf } from '../../src/jig/outlets.ts';
import type { PowerValue } from '../../src/jig/power.ts';
import type { Outlet } from '../../src/jig/power-plan.ts';
import { answering, dying, hanging, ScriptedPlug } from '../peers/scripted-plug.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

const NEVER = new AbortController().signal;

/** `done`, or the failure. */
async function turn(outlet: Outlet, value: PowerValue, signal = NEVER): Promise<unknown> {
  return await turnerOf(outlet, callHttp)(value, signal).then(
    () => 'done',
    (error: unknown) => error,
  );
}

/** Its state, or the failure. */
async function ask(outlet: Outlet): Promise<unknown> {
  return await askerOf(outlet, callHttp)?.(NEVER).catch((error: unknown) => error);
}

function plugAt(url: string, more: Partial<Outlet & { kind: 'tasmota' }> = {}): Outlet {
  return { kind: 'tasmota', url, relay: undefined, login: undefined, withinMs: 5000, ...more };
}

describe('a Tasmota plug', () => {
  test('is switched, each of its relays too, with its password', async () => {
    const plug = await ScriptedPlug.start();
    expect(await turn(plugAt(plug.url), 'off')).toBe('done');
    expect(plug.isOn).toBe(false);
    const login = { user: 'admin', password: 'a&b c' };
    expect(await turn(plugAt(plug.url, { relay: 2, login }), 'on')).toBe('done');
    expect(plug.isOn).toBe(true);
    expect(plug.asked).toEqual([
      '/cm?cmnd=Power%20Off',
      '/cm?user=admin&password=a%26b%20c&cmnd=Power2%20On',
    ]);
  });

  test('of which there is one relay may call it the first', async () => {
    const plug = await ScriptedPlug.start();
    plug.behaviour = answering(200, '{"POWER1":"ON"}');
    expect(await turn(plugAt(plug.url), 'on')).toBe('done');
  });

  test.each([
    [
      'the other state',
      200,
      '{"POWER":"OFF"}',
      /expected \{"POWER":"ON"\}, got 200 "\{\\"POWER\\":\\"OFF\\"\}"/,
    ],
    ['a warning', 200, '{"WARNING":"Need user=<username>&password=<password>"}', /user and password/],
    ['an unknown command', 200, '{"Command":"Unknown"}', /is it a Tasmota plug/],
    ['a web page', 200, '<html>', /got 200 "<html>"/],
    ['a list', 200, '["POWER"]', /is it a Tasmota plug/],
    ['a refusal', 401, '', /expected to be let in, got 401; check user and password$/],
    ['an error with the right body', 500, '{"POWER":"ON"}', /got 500/],
    [
      'more than any plug says',
      200,
      'x'.repeat(100_000),
      /expected an answer of at most 65536 bytes, got more$/,
    ],
  ])('that answers with %s has not switched', async (_what, status, text, message) => {
    const plug = await ScriptedPlug.start();
    plug.behaviour = answering(status, text);
    const failure = await turn(plugAt(plug.url), 'on');
    expect(failure).toMatchObject({ code: 'peer-answer', blame: 'protocol' });
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message.startsWith(plug.url)).toBe(true);
  });

  test.each([
    ['hangs', hanging, 50, 'expected an answer within 50 ms, got none'],
    ['goes away in its answer', dying, 5000, 'hung up before its answer was whole'],
  ])(
    'that %s is unavailable, which says what to look at and no password',
    async (_what, behaviour, withinMs, text) => {
      const plug = await ScriptedPlug.start();
      plug.behaviour = behaviour;
      const login = { user: 'admin', password: 'secret' };
      const failure = await turn(plugAt(plug.url, { withinMs, login }), 'on');
      expect(failure).toMatchObject({
        code: 'peer-unavailable',
        blame: 'unavailable',
        message: `${plug.url}/cm: ${text}; is it on, and does the network reach it?`,
      });
    },
  );

  test('that is not there is unavailable', async () => {
    const plug = await ScriptedPlug.start();
    await plug.stop();
    expect(await turn(plugAt(plug.url), 'on')).toMatchObject({ code: 'peer-unavailable' });
  });

  test('that does not speak HTTP gave a wrong answer', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {}); // hung up on
      socket.end('SSH-2.0-OpenSSH\r\n');
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await turn(plugAt(`http://127.0.0.1:${port}`), 'on')).toMatchObject({ code: 'peer-answer' });
  });

  test('says what it is, and is not switched by that', async () => {
    const plug = await ScriptedPlug.start();
    expect(await ask(plugAt(plug.url))).toBe('on');
    plug.isOn = false;
    expect(await ask(plugAt(plug.url, { relay: 2, login: { user: 'me', password: 'x' } }))).toBe('off');
    expect(plug.asked).toEqual(['/cm?cmnd=Power', '/cm?user=me&password=x&cmnd=Power2']);
    expect(plug.switched).toEqual([]);
    plug.behaviour = answering(200, '{"Command":"Unknown"}');
    expect(await ask(plugAt(plug.url))).toMatchObject({
      code: 'peer-answer',
      message: `${plug.url}: expected {"POWER":"ON"} or "OFF", got 200 "{\\"Command\\":\\"Unknown\\"}"; is it a Tasmota plug, and is user and password right?`,
    });
  });

  test('is not waited for after an abort', async () => {
    const plug = await ScriptedPlug.start();
    plug.behaviour = hanging;
    const abort = new AbortController();
    const failure = turn(plugAt(plug.url), 'on', abort.signal);
    await until(() => plug.asked.length === 1, 'it is asked');
    const reason = new Error('enough');
    abort.abort(reason);
    expect(await failure).toBe(reason);
  });
});

/** A program of that name on the PATH, with its calls in `calls`. */
function scripted(name: string, script: string): { folder: string; calls: () => string[] } {
  const folder = tempFolder();
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho "$@" >> ${join(folder, 'calls')}\n${script}\n`);
  chmodSync(path, 0o755);
  vi.stubEnv('PATH', `${folder}:/usr/bin:/bin`);
  const calls = (): string[] => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
  return { folder, calls };
}
afterEach(() => void vi.unstubAllEnvs());

/** As uhubctl prints it for a hub of both kinds. */
function statusOf(usb2: string, usb3: string): string {
  return `cat <<'END'
Current status for hub 2-1 [2109:0822 VIA Labs, Inc. USB3.1 Hub, USB 3.20, 4 ports, ppps]
  Port 2: 02a0 power 5gbps Rx.Detect
Sent power off request
New status for hub 2-1 [2109:0822 VIA Labs, Inc. USB3.1 Hub, USB 3.20, 4 ports, ppps]
  Port 2: ${usb3}
Current status for hub 1-1 [2109:2822 VIA Labs, Inc. USB2.0 Hub, USB 2.10, 4 ports, ppps]
  Port 2: 0503 power highspeed enable connect [0403:6001 FTDI FT232R A9007P]
Sent power off request
New status for hub 1-1 [2109:2822 VIA Labs, Inc. USB2.0 Hub, USB 2.10, 4 ports, ppps]
  Port 2: ${usb2}
END`;
}

describe('a port of a USB hub', () => {
  const port: Outlet = { kind: 'uhubctl', location: '1-1', port: 2, withinMs: 5000 };

  test('is switched by uhubctl, of both hubs of a USB 3 one', async () => {
    const off = scripted('uhubctl', statusOf('0000 off', '00a0 off'));
    expect(await turn(port, 'off')).toBe('done');
    expect(off.calls()).toEqual(['-l 1-1 -p 2 -a off']);
    const on = scripted('uhubctl', statusOf('0100 power', '02a0 power 5gbps Rx.Detect'));
    expect(await turn(port, 'on')).toBe('done');
    expect(on.calls()).toEqual(['-l 1-1 -p 2 -a on']);
  });

  test('says what it is to a uhubctl that is told to do nothing', async () => {
    const current = (words: string): string => `echo 'Current status for hub 1-1 [x]\n  Port 2: ${words}'`;
    const { calls } = scripted('uhubctl', current('0503 power highspeed enable connect'));
    expect(await ask(port)).toBe('on');
    expect(calls()).toEqual(['-l 1-1 -p 2']);
    scripted('uhubctl', current('0000 off'));
    expect(await ask(port)).toBe('off');
    scripted('uhubctl', 'true');
    expect(await ask(port)).toMatchObject({
      message:
        'hub 1-1, port 2: expected on or off, got no status of it; has the hub that port, and can it switch it?',
    });
  });

  test.each([
    ['keeps one of its hubs on', statusOf('0000 off', '02a0 power'), 'expected off, got on and off'],
    ['says nothing of the port', 'true', 'expected off, got no status of it'],
  ])('that %s is not switched', async (_what, script, text) => {
    scripted('uhubctl', script);
    expect(await turn(port, 'off')).toMatchObject({
      code: 'peer-answer',
      message: `hub 1-1, port 2: ${text}; can the hub switch that port?`,
    });
  });

  test('that is not there is unavailable, in the words of uhubctl', async () => {
    scripted('uhubctl', 'echo "No compatible devices detected at location 1-1!" >&2; exit 1');
    expect(await turn(port, 'off')).toMatchObject({
      code: 'peer-unavailable',
      message:
        'hub 1-1, port 2: uhubctl ended with 1: "No compatible devices detected at location 1-1!"; is the hub there, and may this user switch it?',
    });
  });

  test('cannot be switched without uhubctl', async () => {
    vi.stubEnv('PATH', tempFolder());
    expect(await turn(port, 'off')).toMatchObject({
      code: 'peer-unavailable',
      message: 'uhubctl: cannot be started: there is no such program; install it',
    });
  });
});

describe('an outlet that commands switch', () => {
  const outlet = (state?: string[]): Outlet => ({
    kind: 'command',
    on: ['relay', '$HOME', 'a b', '1'],
    off: ['relay', '0'],
    state,
    withinMs: 5000,
  });

  test('is switched by them, without a shell', async () => {
    const { calls } = scripted('relay', 'true');
    expect(await turn(outlet(), 'on')).toBe('done');
    expect(calls()).toEqual(['$HOME a b 1']);
  });

  test('is believed when the state is what was asked for', async () => {
    scripted('relay', 'echo ON');
    expect(await turn(outlet(['relay', 'state']), 'on')).toBe('done');
    expect(await turn(outlet(['relay', 'state']), 'off')).toMatchObject({
      code: 'peer-answer',
      message: 'relay state: expected off, got "ON"',
    });
  });

  test('says by its state what it is, and without one cannot be asked', async () => {
    const { calls } = scripted('relay', 'echo ON');
    expect(await ask(outlet(['relay', 'state']))).toBe('on');
    expect(calls()).toEqual(['state']);
    scripted('relay', 'echo maybe');
    expect(await ask(outlet(['relay', 'state']))).toMatchObject({
      code: 'peer-answer',
      message: 'relay state: expected on or off, got "maybe"',
    });
    expect(askerOf(outlet(), callHttp)).toBeUndefined();
  });

  test('fails with the command, and says its last words', async () => {
    scripted('relay', 'echo first >&2; echo no relay >&2; exit 3');
    expect(await turn(outlet(), 'off')).toMatchObject({
      code: 'peer-answer',
      message: 'relay 0: expected status 0, got 3: "no relay"',
    });
  });

  test.each([
    ['as another user', 'EPERM', 'it runs as another user'],
    ['inside a driver', undefined, 'it does not end of SIGKILL'],
  ])(
    'is not waited for when its command runs %s, where it cannot be killed',
    async (_where, code, reason) => {
      const { folder } = scripted('relay', 'echo $$ > $0.pid; exec sleep 1000');
      const pidFile = join(folder, 'relay.pid');
      const pid = (): string => readFileSync(pidFile, 'utf8');
      const kill = process.kill.bind(process);
      onTestFinished(async () => {
        vi.restoreAllMocks();
        await until(() => existsSync(pidFile) && pid() !== '', 'it runs');
        kill(Number(pid()), 'SIGKILL');
      });
      vi.spyOn(process, 'kill').mockImplementation(() => {
        if (code === undefined) return true;
        throw Object.assign(new Error(`kill ${code}`), { code });
      });
      expect(await turn({ ...outlet(), withinMs: 100 }, 'on')).toMatchObject({
        code: 'peer-unavailable',
        message: `relay: expected an end within 100 ms, and it cannot be killed: ${reason}; it goes on`,
      });
    },
  );

  test('is not waited for past its deadline, nor is anything of the command left', async () => {
    const { folder } = scripted('relay', 'sleep 1000 & echo $! > $0.pid; wait');
    const pidFile = join(folder, 'relay.pid');
    const abort = new AbortController();
    const aborted = turn(outlet(), 'on', abort.signal);
    await until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '', 'it has a child');
    const pid = Number(readFileSync(pidFile, 'utf8'));
    abort.abort(new Error('enough'));
    expect(await aborted).toMatchObject({ message: 'enough' });
    await until(() => isGone(pid), 'its child has gone');
    expect(await turn({ ...outlet(), withinMs: 100 }, 'on')).toMatchObject({
      code: 'peer-unavailable',
      message: 'relay: expected an end within 100 ms, it was killed; does it wait for something?',
    });
  });
});

/** Or a zombie that nobody has waited for. */
function isGone(pid: number): boolean {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
