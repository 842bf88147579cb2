import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { samplesIn } from '../peers/exposition.ts';
import { needsProgram } from '../peers/needs.ts';
import { RunningJig } from '../peers/running-jig.ts';
import { type Outcome, ROOT, runCommand } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

const TARGET = {
  name: 'dut',
  gpios: [{ name: 'reset', chip_index: 0, offset: 0 }],
  sequences: [
    { name: 'reset', seq: [{ pulse: 'reset', for: 1 }] },
    { name: 'on', seq: [{ gpio_name: 'reset', value: 1 }] },
    { name: 'hold', seq: [{ gpio_name: 'reset', value: 1 }, { value: '1m' }] },
  ],
};

function start(folder: string, config: object = {}): Promise<RunningJig> {
  return RunningJig.start(folder, { targets: [TARGET], ...config }, '--backend', 'simulated');
}

/** systemd's end: every message that it gets, one after the other. */
async function manager(address: string, isUp: () => boolean): Promise<() => string> {
  const child = spawn('socat', ['-u', address, '-'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    if (child.signalCode === null && child.exitCode === null) await once(child, 'close');
  });
  await until(isUp, 'it listens');
  return () => text;
}

/** For what is started by `body`. */
async function withEnv<T>(more: Record<string, string>, body: () => Promise<T>): Promise<T> {
  Object.assign(process.env, more);
  try {
    return await body();
  } finally {
    for (const name of Object.keys(more)) delete process.env[name];
  }
}

describe('a service manager', () => {
  test('is told that the jig is ready, lives, and stops, at a path', async (context) => {
    needsProgram(context, 'socat');
    const folder = tempFolder();
    const path = join(folder, 'notify');
    const text = await manager(`UNIX-RECV:${path}`, () => existsSync(path));
    const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000' };
    const jig = await withEnv(env, () => start(folder));
    await until(() => text().split('WATCHDOG=1\n').length > 4, 'it lives for a while');
    jig.child.kill('SIGSTOP');
    const stopped = text();
    await until(
      () => /^State:\tT/m.test(readFileSync(`/proc/${jig.child.pid}/status`, 'utf8')),
      'it is stopped',
    );
    jig.child.kill('SIGCONT');
    await until(() => text().length > stopped.length, 'it lives again');
    expect(await jig.stop('SIGTERM')).toBe(143);
    await until(() => text().includes('STOPPING=1\n'), 'it says that it stops');
    expect(text()).toMatch(
      /^READY=1\nSTATUS=ready on http:\/\/127\.0\.0\.1:\d+\/ with 1 target\n(WATCHDOG=1\n)+STOPPING=1\n(WATCHDOG=1\n)*$/,
    );
  });

  test('may listen at an abstract address, and watch another process', async (context) => {
    needsProgram(context, 'socat');
    const folder = tempFolder();
    const name = `sai-jig-test-${process.pid}`;
    const text = await manager(`ABSTRACT-RECV:${name}`, () =>
      readFileSync('/proc/net/unix', 'utf8').includes(`@${name}\n`),
    );
    const env = { NOTIFY_SOCKET: `@${name}`, WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' };
    const jig = await withEnv(env, () => start(folder));
    await until(() => text().includes('STATUS='), 'it is ready');
    expect((await jig.ask('/dut/reset')).status).toBe(200);
    expect(await jig.stop('SIGTERM')).toBe(143);
    await until(() => text().endsWith('STOPPING=1\n'), 'it stops');
    expect(text()).not.toContain('WATCHDOG');
  });

  test('that is not there is a remark', async () => {
    const folder = tempFolder();
    const path = join(folder, 'none');
    const jig = await withEnv({ NOTIFY_SOCKET: path }, () => start(folder));
    await until(() => jig.stderr.includes('NOTIFY_SOCKET'), 'it says so');
    expect(jig.stderr).toContain(
      `sai-jig: NOTIFY_SOCKET: ${path}: cannot tell the service manager: ENOENT: sendto\n`,
    );
    expect((await jig.ask('/dut/reset')).status).toBe(200);
  });
});

describe('the audit', () => {
  test('is not kept unless the config asks for it', async () => {
    const folder = tempFolder();
    const jig = await start(folder);
    expect((await jig.ask('/dut/reset')).status).toBe(200);
    await jig.stop('SIGTERM');
    expect(spawnSync('ls', ['-A', folder], { encoding: 'utf8' }).stdout).toBe('jig.json\n');
  });

  test('has a line for each request that would change something, also one that is killed off', async () => {
    const folder = tempFolder();
    const token = 'a-token-that-is-long-enough';
    const jig = await start(folder, { auditFile: 'audit', tokens: [token] });
    const authorization = `Bearer ${token}`;
    const headers = { authorization, 'sai-fence': '7' };
    await jig.ask('/targets', { headers });
    await jig.ask('/dut/reset', { headers });
    await jig.ask('/dut/reset', { headers: { authorization, 'sai-fence': '6' } });
    await jig.ask('/dut/reset');
    await jig.ask('/favicon.ico', { headers });
    await jig.ask('/targets/dut/abort', { method: 'POST', headers });
    const held = jig.ask('/dut/hold', { headers });
    const running = async (): Promise<unknown> => (await jig.ask('/targets/dut', { headers })).body['state'];
    while ((await running()) !== 'running');
    await jig.stop('SIGTERM');
    expect((await held).status).toBe(503);
    const lines = readFileSync(join(folder, 'audit'), 'utf8').trim().split('\n');
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const by = {
      address: '127.0.0.1',
      token: expect.stringMatching(/^[0-9a-f]{8}$/) as unknown,
      target: 'dut',
    };
    expect(told).toMatchObject([
      { ...by, sequence: 'reset', fence: 7, status: 200, outcome: 'done' },
      { ...by, sequence: 'reset', fence: 6, status: 412, outcome: 'fenced' },
      { address: '127.0.0.1', sequence: 'reset', status: 401, outcome: 'unauthorized' },
      { ...by, fence: 7, status: 200, outcome: 'done' },
      { ...by, sequence: 'hold', fence: 7, status: 503, outcome: 'stopping' },
    ]);
    expect(lines.join()).not.toContain(token);
  });

  test('that cannot be written stops nothing', async () => {
    const folder = tempFolder();
    const jig = await start(folder, { auditFile: '/dev/full' });
    expect((await jig.ask('/dut/reset')).status).toBe(200);
    expect((await jig.ask('/dut/reset')).status).toBe(200);
    expect(await jig.stop('SIGTERM')).toBe(143);
    expect(jig.stderr.match(/\/dev\/full: cannot write the audit: ENOSPC/g)).toHaveLength(1);
  });
});

describe('the metrics', () => {
  test('are what Prometheus reads, for whoever has a token', async () => {
    const token = 'a-token-that-is-long-enough';
    const jig = await start(tempFolder(), { tokens: [token] });
    const headers = { authorization: `Bearer ${token}` };
    await jig.ask('/dut/reset', { headers });
    await jig.ask('/dut/on', { headers });
    await jig.ask('/dut/none', { headers });
    expect((await jig.ask('/metrics')).status).toBe(401);
    const answer = await fetch(`${jig.url}/metrics`, { headers });
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const samples = samplesIn(await answer.text());
    expect(Object.fromEntries(samples)).toMatchObject({
      'sai_jig_requests_total{route="run",status="200"}': 2,
      'sai_jig_requests_total{route="run",status="400"}': 1,
      'sai_jig_requests_total{route="metrics",status="401"}': 1,
      'sai_jig_sequences_total{target="dut",sequence="reset",outcome="done"}': 1,
      'sai_jig_lateness_seconds_count{target="dut"}': 2,
      'sai_jig_line_active{target="dut",line="reset"}': 1,
      'sai_jig_target_up{target="dut"}': 1,
    });
  });
});

/** A key and a certificate for 127.0.0.1 by the authority of that name, or by itself. */
function certificate(folder: string, name: string, authority?: string): void {
  const place = (file: string): string => join(folder, file);
  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    expect(stderr, stderr).toSatisfy(() => status === 0);
  };
  const kind = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    place(`${name}.key`),
  ];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  if (authority === undefined) {
    openssl('req', '-x509', ...kind, ...subject, '-days', '2', '-out', place(`${name}.pem`));
    return;
  }
  openssl('req', ...kind, ...subject, '-out', place(`${name}.csr`));
  const signer = ['-CA', place(`${authority}.pem`), '-CAkey', place(`${authority}.key`), '-CAcreateserial'];
  openssl('x509', '-req', '-in', place(`${name}.csr`), ...signer, '-days', '2', '-out', place(`${name}.pem`));
}

/** The status, or how the connection ended. */
function askOverTls(folder: string, port: number, path: string, client?: string): Promise<number | string> {
  const file = (name: string): Buffer => readFileSync(join(folder, name));
  const own = client === undefined ? {} : { cert: file(`${client}.pem`), key: file(`${client}.key`) };
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, path, ca: file('server.pem'), agent: false, ...own };
    const asked = request(options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asked.end();
  });
}

test('a jig that listens on every interface says so, beside an address that works', async () => {
  const file = join(tempFolder(), 'jig.json');
  writeFileSync(file, JSON.stringify({ schema: 'sai-jig', port: 0, targets: [] }));
  const jig = spawn(join(ROOT, 'bin/sai-jig'), ['--json', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void jig.kill('SIGKILL'));
  let said = '';
  jig.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [first] = (await once(jig.stdout, 'data')) as [Buffer];
  const { port, url, ...rest } = JSON.parse(first.toString()) as { port: number; url: string };
  expect({ url, ...rest }).toEqual({ url: `http://localhost:${port}/`, address: '*', targets: [] });
  const ended = once(jig, 'close');
  jig.kill('SIGTERM');
  expect((await ended)[0]).toBe(143);
  expect(said).toContain(
    `sai-jig: ready on port ${port} of all interfaces, http://localhost:${port}/ with 0 targets\n`,
  );
});

describe('TLS', () => {
  test('serves whoever trusts the certificate, and nobody in plain text', async (context) => {
    needsProgram(context, 'openssl');
    const folder = tempFolder();
    certificate(folder, 'server');
    const jig = await start(folder, { tls: { cert: 'server.pem', key: 'server.key' } });
    await until(() => jig.stderr.includes(`ready on https://127.0.0.1:${jig.port}/`), 'it is ready');
    expect(jig.stderr).toContain('no tokens in the config');
    expect(jig.stderr).toMatch(/tls\.cert: the certificate ends on .* GMT; make a new one/); // of the test's two days
    const plain = connect(jig.port, '127.0.0.1');
    plain.on('error', () => {}); // hung up on
    plain.write('GET /dut/reset HTTP/1.1\r\nhost: jig\r\n\r\n');
    plain.resume();
    await once(plain, 'close');
    expect(await askOverTls(folder, jig.port, '/dut/reset')).toBe(200);
    const run = { env: { ...process.env, SAI_DEVICE_JIG: `https://127.0.0.1:${jig.port}/dut` } };
    const trusting = { env: { ...run.env, NODE_EXTRA_CA_CERTS: join(folder, 'server.pem') } };
    const sai = join(ROOT, 'bin/sai');
    expect(await runCommand(sai, ['jig', 'run', 'reset'], trusting)).toMatchObject({ status: 0 });
    expect(await runCommand(sai, ['jig', 'run', 'reset'], run)).toMatchObject({ status: 69 });
    const watcher = new WebSocket(`wss://127.0.0.1:${jig.port}/events`, {
      ca: readFileSync(join(folder, 'server.pem')),
    });
    await once(watcher, 'open');
    const event = once(watcher, 'message') as Promise<[Buffer]>;
    expect(await askOverTls(folder, jig.port, '/dut/reset')).toBe(200);
    expect(JSON.parse((await event)[0].toString())).toMatchObject({ event: 'started', target: 'dut' });
    const closed = once(watcher, 'close');
    expect(await jig.stop('SIGTERM')).toBe(143);
    await closed;
  });

  test('with clientCa serves only those whose certificate it signed, whom the audit names', async (context) => {
    needsProgram(context, 'openssl');
    const folder = tempFolder();
    for (const name of ['server', 'lab', 'stranger']) certificate(folder, name);
    certificate(folder, 'alice', 'lab');
    const tls = { cert: 'server.pem', key: 'server.key', clientCa: 'lab.pem' };
    const jig = await start(folder, { tls, auditFile: 'audit' });
    await until(() => jig.stderr.includes('ready on'), 'it is ready');
    expect(jig.stderr).not.toContain('no tokens');
    expect(await askOverTls(folder, jig.port, '/dut/reset')).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET/);
    expect(await askOverTls(folder, jig.port, '/dut/reset', 'stranger')).toMatch(/UNKNOWN_CA|ECONNRESET/);
    expect(await askOverTls(folder, jig.port, '/dut/reset', 'alice')).toBe(200);
    const file = (name: string): string => join(folder, name);
    const { SAI_JIG_CERT: _certificate, SAI_JIG_KEY: _key, ...env } = process.env;
    const stranger = {
      ...env,
      SAI_DEVICE_JIG: `https://127.0.0.1:${jig.port}/dut`,
      NODE_EXTRA_CA_CERTS: file('server.pem'),
    };
    const run = (more: object): Promise<Outcome> =>
      runCommand(join(ROOT, 'bin/sai'), ['jig', 'run', 'reset'], { env: { ...stranger, ...more } });
    const alice = { SAI_JIG_CERT: file('alice.pem'), SAI_JIG_KEY: file('alice.key') };
    expect(await run(alice)).toMatchObject({ status: 0 });
    expect((await run({})).stderr).toMatch(
      /CERTIFICATE_REQUIRED\); name it in SAI_JIG_CERT|hang up|ECONNRESET/,
    );
    const own = { SAI_JIG_CERT: file('stranger.pem'), SAI_JIG_KEY: file('stranger.key') };
    for (const [more, told] of [
      [
        own,
        /^sai: jig https:\S+\/dut\/reset: the jig does not take this certificate \(\w+\); name one in SAI_JIG/,
      ],
      [{ ...alice, SAI_JIG_KEY: file('none') }, /SAI_JIG_KEY: expected a file that can be read: ENOENT/],
      [
        { ...alice, SAI_JIG_KEY: file('lab.key') },
        /SAI_JIG_CERT and SAI_JIG_KEY: expected a certificate and its key/,
      ],
    ] as const) {
      const outcome = await run(more);
      expect(outcome.status).toBe(78);
      expect(outcome.stderr).toMatch(told);
    }
    await jig.stop('SIGTERM');
    const told = readFileSync(join(folder, 'audit'), 'utf8').trim().split('\n');
    expect(told.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { certificate: 'alice', status: 200 },
      { certificate: 'alice', status: 200 },
    ]);
  });

  test('serves on when a client hangs up, whom the audit names all the same', async (context) => {
    needsProgram(context, 'openssl');
    const folder = tempFolder();
    certificate(folder, 'server');
    certificate(folder, 'alice', 'server');
    const tls = { cert: 'server.pem', key: 'server.key', clientCa: 'server.pem' };
    const jig = await start(folder, { tls, auditFile: 'audit' });
    const alice = {
      cert: readFileSync(join(folder, 'alice.pem')),
      key: readFileSync(join(folder, 'alice.key')),
    };
    const ca = readFileSync(join(folder, 'server.pem'));
    const socket = connectTls({ host: '127.0.0.1', port: jig.port, ca, ...alice });
    socket.write('GET /dut/hold?on-disconnect=abort HTTP/1.1\r\nhost: jig\r\n\r\n');
    const told = (): string =>
      existsSync(join(folder, 'audit')) ? readFileSync(join(folder, 'audit'), 'utf8') : '';
    const status = (): Promise<number | string> => askOverTls(folder, jig.port, '/dut/reset', 'alice');
    while ((await status()) !== 409);
    socket.destroy();
    await until(() => told().includes('"hold"'), 'it is told');
    const line =
      told()
        .split('\n')
        .find((each) => each.includes('"hold"')) ?? '';
    expect(JSON.parse(line)).toMatchObject({ address: '127.0.0.1', certificate: 'alice', status: 410 });
    expect(await status()).toBe(200);
    expect(await jig.stop('SIGTERM')).toBe(143);
  });

  test('with files that will not do is a config error, also of a check', async (context) => {
    needsProgram(context, 'openssl');
    const folder = tempFolder();
    for (const name of ['server', 'other']) certificate(folder, name);
    writeFileSync(join(folder, 'empty'), '');
    const file = join(folder, 'jig.json');
    const cases = [
      [{ cert: 'none', key: 'server.key' }, /jig\.json: tls\.cert: expected a file that can be read: ENOENT/],
      [{ cert: 'server.pem', key: 'other.key' }, /jig\.json: tls: expected a certificate and its key/],
      [
        { cert: 'server.pem', key: 'server.key', clientCa: 'empty' },
        /jig\.json: tls\.clientCa: expected certificates/,
      ],
    ] as const;
    for (const [tls, message] of cases) {
      writeFileSync(file, JSON.stringify({ schema: 'sai-jig', targets: [], tls }));
      const outcome = await runCommand(join(ROOT, 'bin/sai-jig'), ['--config', file, '--check'], {
        env: process.env,
      });
      expect(outcome).toMatchObject({ status: 78 });
      expect(outcome.stderr).toMatch(message);
    }
  });
});
