import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RecordingBoard } from '../peers/recording-board.ts';
import { RunningJig } from '../peers/running-jig.ts';
import { type Outcome, ROOT, runCommand } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

const SAI = join(ROOT, 'bin/sai');
const { SAI_FINDINGS: _findings, SAI_DEVICE_JIG: _jig, SAI_JIG_TOKEN: _token, ...bare } = process.env;

function sai(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return runCommand(SAI, args, { env: { ...bare, ...env } });
}

interface Bench {
  readonly jig: RunningJig;
  readonly board: RecordingBoard;
  /** How `sai` finds it. */
  readonly env: NodeJS.ProcessEnv;
}

async function bench(more: object = {}): Promise<Bench> {
  const folder = tempFolder();
  const chip = join(folder, 'dut.chip');
  const board = new RecordingBoard(['reset'], ['led']);
  const server = await board.serve(chip);
  onTestFinished(async () => await server[Symbol.asyncDispose]());
  const jig = await RunningJig.start(folder, {
    ...more,
    targets: [
      {
        name: 'dut',
        gpios: [
          { name: 'reset', chip, line: 'reset' },
          { name: 'led', chip, line: 'led', direction: 'in' },
        ],
        sequences: [
          { name: 'reset', seq: [{ pulse: 'reset', for: 1 }] },
          { name: 'leave', seq: [{ gpio_name: 'reset', value: 1 }] },
          { name: 'long', seq: [{ gpio_name: 'reset', value: 1 }, { value: '1m' }] },
        ],
      },
    ],
  });
  return { jig, board, env: { SAI_DEVICE_JIG: `${jig.url}/dut` } };
}

function start(args: readonly string[], env: NodeJS.ProcessEnv): { child: ChildProcess; said: () => string } {
  const child = spawn(SAI, args, { env: { ...bare, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, said: () => text };
}

describe('sai jig', () => {
  test('lists, runs and aborts, on the target of the lease', async () => {
    const { env, board, jig } = await bench({ tokens: ['a-token-that-is-long-enough'] });
    expect(await sai(['jig', 'list'], env)).toEqual({
      status: 78,
      stdout: '',
      stderr: `sai: jig ${jig.url}/targets: expected "Authorization: Bearer <token>" with a token of this jig, got none; name one in SAI_JIG_TOKEN\n`,
    });
    const known = { ...env, SAI_JIG_TOKEN: 'a-token-that-is-long-enough', SAI_DEVICE_FENCE: '7' };
    const idle = 'dut: idle\n  sequences: reset, leave, long\n  lines: reset=0, led=0\n';
    expect(await sai(['jig', 'list'], known)).toEqual({ status: 0, stdout: idle, stderr: '' });
    const run = await sai(['jig', 'run', 'reset'], known);
    expect({ ...run, stderr: run.stderr.replace(/\d+ ms/, 'N ms') }).toEqual({
      status: 0,
      stdout: '',
      stderr: 'sai: dut/reset: done in N ms\n',
    });
    const old = await sai(['jig', 'run', 'reset'], { ...known, SAI_DEVICE_FENCE: '6' });
    expect(old.status).toBe(69);
    expect(old.stderr).toMatch(
      /expected a fence of at least 7, got 6; your lease is over, somebody else has the board\n$/,
    );
    const long = start(['jig', 'run', 'long'], known);
    const ended = once(long.child, 'close');
    await until(() => board.lines.levelOf('reset') === 1, 'it begins');
    const busy = await sai(['jig', 'run', 'reset'], known);
    expect(busy.status).toBe(75);
    expect(busy.stderr).toMatch(
      /^sai: jig http:\/\/[\d.:]+\/dut\/reset: dut: busy: it runs long; try later, or wait with \?wait=5s\n$/,
    );
    expect(await sai(['jig', 'abort'], known)).toEqual({
      status: 0,
      stdout: '',
      stderr: 'sai: dut: its lines are safe\n',
    });
    expect((await ended)[0]).toBe(69);
    expect(long.said()).toMatch(/dut: the sequence was aborted\n$/);
    const json = await sai(['jig', 'list', '--json'], known);
    expect(JSON.parse(json.stdout)).toMatchObject({
      name: 'dut',
      state: 'idle',
      last: { outcome: 'aborted' },
    });
  });

  test('watches what happens', async () => {
    const { env, jig } = await bench();
    const watch = start(['jig', 'watch', '--json'], env);
    await until(() => watch.said() === 'sai: watching dut\n', 'it watches');
    expect((await jig.ask('/dut/reset')).status).toBe(200);
    await until(() => watch.said().includes('"ended"'), 'the events are there');
    const events = [...watch.said().matchAll(/"event":"(\w+)"/g)].map((match) => match[1]);
    expect(events).toEqual(['started', 'step', 'step', 'ended']);
    const ended = once(watch.child, 'close');
    await jig.stop('SIGTERM');
    expect((await ended)[0]).toBe(69);
  });

  test('tells of an abort that makes safe what an earlier run left', async () => {
    const { env, board } = await bench();
    const watch = start(['jig', 'watch'], env);
    await until(() => watch.said() === 'sai: watching dut\n', 'it watches');
    board.lines.setLevel('led', 1);
    expect(await sai(['jig', 'run', 'leave'], env)).toMatchObject({ status: 0 });
    expect((await sai(['jig', 'list'], env)).stdout).toContain('  lines: reset=1, led=1\n');
    expect(await sai(['jig', 'abort'], env)).toMatchObject({ status: 0 });
    await until(() => / dut made safe: reset\n$/.test(watch.said()), 'it is told');
  });

  test('told to stop, hangs up, and the jig makes the lines safe', async () => {
    const { env, board } = await bench();
    const long = start(['jig', 'run', 'long'], env);
    const ended = once(long.child, 'close');
    await until(() => board.lines.levelOf('reset') === 1, 'it begins');
    long.child.kill('SIGINT');
    expect((await ended)[0]).toBe(130);
    await until(() => board.lines.levelOf('reset') === 0, 'the line is safe');
  });

  test('ends with who did not answer when a jig takes the connection and is silent', async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const asked = [['list'], ['run', 'reset'], ['abort'], ['watch']];
    const outcomes = await Promise.all(
      asked.map((words) => sai(['jig', ...words, '--url', `${url}/dut`, '--timeout', '100ms'])),
    );
    const stderr = `sai: jig ${url}: expected its answer within 100 ms; is it stopped? Else give a longer --timeout\n`;
    expect(outcomes).toEqual(asked.map(() => ({ status: 69, stdout: '', stderr })));
  });

  test('says so where a target is not there', async () => {
    const { jig } = await bench();
    for (const word of ['list', 'watch']) {
      expect(await sai(['jig', word, '--url', `${jig.url}/dot`])).toEqual({
        status: 78,
        stdout: '',
        stderr: `sai: jig ${jig.url}: expected a target, one of dut, got "dot"\n`,
      });
    }
  });

  test("understands Sai's own jig, which says nothing but a status", async () => {
    const asked: string[] = [];
    const original = createServer((request: IncomingMessage, response: ServerResponse) => {
      asked.push(`${request.method} ${request.url}`);
      const status =
        { '/dut/reset': 200, '/dut/busy': 409, '/nobody/reset': 404 }[
          new URL(request.url ?? '', 'http://jig').pathname
        ] ?? 400;
      response.writeHead(status, { 'content-type': 'text/html' }).end();
    });
    await new Promise<void>((resolve) => original.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void original.close());
    const url = `http://127.0.0.1:${(original.address() as AddressInfo).port}`;
    const run = (target: string, sequence: string): Promise<Outcome> =>
      sai(['jig', 'run', '--url', `${url}/${target}`, sequence]);
    expect(await run('dut', 'reset')).toEqual({ status: 0, stdout: '', stderr: 'sai: dut/reset: done\n' });
    // It ignores what follows the path.
    expect(asked).toEqual(['GET /dut/reset?on-disconnect=abort']);
    expect((await run('dut', 'busy')).stderr).toMatch(/: the target is busy \(HTTP 409\)\n$/);
    expect((await run('dut', 'busy')).status).toBe(75);
    expect((await run('dut', 'rest')).stderr).toMatch(/: no such sequence \(HTTP 400\)\n$/);
    expect((await run('nobody', 'reset')).status).toBe(78);
  });

  test('names who has to act where the device of the lease has no jig', async () => {
    const lease = { SAI_DEVICE_LEASE: tempFolder(), SAI_DEVICE_NAME: 'uno-1' };
    const told = 'expected a jig, its device has no "jig" in the devices config; name it there';
    expect(await sai(['jig', 'run', 'reset'], lease)).toEqual({
      status: 78,
      stdout: '',
      stderr: `sai: uno-1: ${told}, or give --url http://HOST:PORT/TARGET\n`,
    });
  });

  test.each([
    [['jig', 'run', 'reset'], 64, /^sai: no jig named: give --url/],
    [
      ['jig', 'run', '--url', 'pi:44000/dut', 'reset'],
      78,
      /^sai: --url: expected a jig's URL, such as http:\/\/pi:44000\/uno-1, got "pi:44000\/dut"\n$/,
    ],
    [
      ['jig', 'run', '--url', 'http://pi:44000', 'reset'],
      64,
      /^sai: http:\/\/pi:44000: expected a target in the URL/,
    ],
    [
      ['jig', 'run', '--url', 'http://127.0.0.1:1/dut', 'reset'],
      69,
      /it does not answer: connect ECONNREFUSED/,
    ],
    [
      ['jig', 'run', '--url', 'http://127.0.0.1:1/dut', '--wait', '5', 'reset'],
      64,
      /^sai: --wait: expected a duration such as 300ms, 2s, 5m or 8h, with its unit, got "5"/,
    ],
    [['jig', 'press'], 64, /^sai: unknown command 'press'/],
    [['nonsense'], 64, /^sai: unknown command 'nonsense'; see sai --help\n$/],
    [[], 64, /^sai: expected a command; see sai --help\n$/],
  ])('refuses %j', async (args, status, message) => {
    const outcome = await sai(args);
    expect({ status: outcome.status, stdout: outcome.stdout }).toEqual({ status, stdout: '' });
    expect(outcome.stderr).toMatch(message);
  });
});

test('sai X is sai-X: its arguments, its status', async () => {
  const version = await sai(['jig', '--help']);
  expect(version.stdout).toContain('Usage: sai jig');
  const outcome = await sai(['expect', '--nonsense']);
  expect(outcome).toEqual({
    status: 64,
    stdout: '',
    stderr: "sai-expect: unknown option '--nonsense'; see sai-expect --help\n",
  });
});
