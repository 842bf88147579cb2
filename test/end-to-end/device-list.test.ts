import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Bench } from '../peers/bench.ts';

/** Writes down every path that a command opens. */
const TRACE_OPENS = `
const fs = require('node:fs');
const out = fs.openSync(process.env.TRACE, 'a');
for (const name of ['openSync', 'readFileSync']) {
  const original = fs[name];
  fs[name] = (path, ...rest) => {
    fs.writeSync(out, path + '\\n');
    return original(path, ...rest);
  };
}
`;

test('--list shows free, held, foreign and missing devices, and touches none', async () => {
  await using bench = new Bench({}, {}, {}, { ttys: ['/dev/no-such-tty'] });
  const foreigner = spawn('flock', [bench.boards[1]?.ttyPath ?? '', 'sh', '-c', 'echo up; cat']);
  await once(foreigner.stdout, 'data');
  const holder = bench.start(['--name', 'uno3', 'uno', 'sh', '-c', 'echo up; exec cat']);
  await holder.prints(/up/);

  const json = await bench.run(['--list', '--json']);
  const listed = json.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(listed).toEqual([
    { name: 'uno1', type: 'uno', state: 'free', ttys: [bench.boards[0]?.ttyPath] },
    {
      name: 'uno2',
      type: 'uno',
      state: 'foreign',
      holder: { pid: foreigner.pid },
      ttys: [bench.boards[1]?.ttyPath],
    },
    {
      name: 'uno3',
      type: 'uno',
      state: 'held',
      holder: {
        pid: holder.pid,
        user: expect.any(String),
        command: 'sh -c echo up; exec cat',
        sinceMs: expect.any(Number),
        lease: expect.stringContaining(`${bench.runDir}/leases/`),
      },
      ttys: [bench.boards[2]?.ttyPath],
    },
    {
      name: 'uno4',
      type: 'uno',
      state: 'missing',
      ttys: ['/dev/no-such-tty'],
      problem: '/dev/no-such-tty: no such tty; plug the board in, or correct the config',
    },
  ]);

  const text = await bench.run(['--list']);
  expect(text.stdout.trim().split('\n')).toEqual([
    'uno1 is free [uno]',
    expect.stringMatching(`^uno2 is locked by process ${foreigner.pid} \\(.+\\) \\[uno\\]$`),
    expect.stringMatching(
      `^uno3 is held by pid ${holder.pid} \\(sh -c echo up; exec cat\\) of \\S+ since [\\d:]+ \\[uno\\]$`,
    ),
    'uno4 is not usable: /dev/no-such-tty: no such tty; plug the board in, or correct the config [uno]',
  ]);

  foreigner.stdin.end();
  await once(foreigner, 'close');
  holder.closeInput();
  expect((await holder.ended).status).toBe(0);
});

test('neither --list nor a waiter opens a tty: that would reset the board', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', 'sh', '-c', 'echo up; exec cat']);
  await holder.prints(/up/);
  const preload = bench.file('trace.cjs');
  const trace = bench.file('trace');
  writeFileSync(preload, TRACE_OPENS);
  const env = { NODE_OPTIONS: `--require ${preload}`, TRACE: trace };
  expect((await bench.run(['--list'], env)).status).toBe(0);
  expect((await bench.run(['--no-wait', 'uno', 'true'], env)).status).toBe(75);
  expect((await bench.run(['--wait', '300ms', 'uno', 'true'], env)).status).toBe(75);
  const opened = readFileSync(trace, 'utf8').split('\n');
  expect(opened).toContain(bench.config);
  expect(opened).not.toContain(bench.board.ttyPath);
  holder.closeInput();
  expect((await holder.ended).status).toBe(0);
  expect((await bench.run(['uno', 'true'], env)).status).toBe(0);
  expect(readFileSync(trace, 'utf8').split('\n')).toContain(bench.board.ttyPath);
});

test('--list shows who waits for a device, the next one first', async () => {
  await using bench = new Bench({}, { type: 'esp32' });
  const holder = bench.start(['uno', 'sh', '-c', 'echo up; exec cat']);
  await holder.prints(/up/);
  const first = bench.start(['uno', 'true']);
  await first.says(/position 1/);
  const second = bench.start(['uno1', 'sh', '-c', 'exit 0']);
  await second.says(/position 2/);
  const lines = (await bench.run(['--list', '--json'])).stdout.trim().split('\n');
  const [uno, esp32] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const waiter = { user: expect.any(String), sinceMs: expect.any(Number) };
  expect(uno).toMatchObject({
    state: 'held',
    queue: [
      { ...waiter, pid: first.pid, request: 'uno', command: 'true' },
      { ...waiter, pid: second.pid, request: 'uno1', command: 'sh -c exit 0' },
    ],
  });
  expect(esp32).not.toHaveProperty('queue');
  expect((await bench.run(['--list'])).stdout).toMatch(
    new RegExp(
      `^uno1 is held by .* \\[uno\\]; next in queue: pid ${first.pid} \\(true\\) of \\S+ since [\\d:]+; 1 more waiting\n` +
        'uno2 is free \\[esp32\\]\n$',
    ),
  );
  holder.closeInput();
  expect([(await first.ended).status, (await second.ended).status]).toEqual([0, 0]);
});

test('--list makes no folder', async () => {
  await using bench = new Bench();
  expect((await bench.run(['--list'])).status).toBe(0);
  expect(existsSync(bench.runDir)).toBe(false);
});
