// biome-ignore-all lint/suspicious/noTemplateCurlyInString: scripts have variables of that form

import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CHUNKINGS, DutOnPty } from '../peers/dut-on-pty.ts';
import { Workplace } from '../peers/expect-command.ts';
import { NO_SMALL_DISK, smallDisk } from '../peers/small-disk.ts';
import { until } from '../until.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = new Workplace();
  dut = new DutOnPty();
});

afterEach(async () => {
  await dut[Symbol.asyncDispose]();
  expect(place.leftovers()).toEqual([]);
  await place[Symbol.asyncDispose]();
});

const file = (): string => join(place.folder, 'out.json');
const outcome = (): Record<string, unknown> =>
  JSON.parse(readFileSync(file(), 'utf8')) as Record<string, unknown>;

describe.each(CHUNKINGS)('with a board that talks in %s', (chunking) => {
  test('a pass is told with what was done, matched and captured, and so is its replay', async () => {
    await using board = new DutOnPty(chunking);
    board.on('version\n', 'sai 1.2.3\r\n> ');
    place.lease(board.ttyPath);
    const steps = ['--line', 'version', '--regex', '^sai (?<version>\\d[\\d.]*)$', '--expect', '> '];
    const recording = join(place.folder, 'x.rec');
    expect((await place.run(...steps, '--json', file(), '--record', recording)).status).toBe(0);
    const tty = `tty0 (${board.ttyPath})`;
    const told = {
      verdict: 'pass',
      status: 0,
      device: 'uno-1',
      durationMs: expect.any(Number),
      steps: [
        { tty, step: '--line "version"', atMs: expect.any(Number) },
        {
          tty,
          step: '--regex "^sai (?<version>\\d[\\d.]*)$"',
          atMs: expect.any(Number),
          matched: 'sai 1.2.3',
        },
        { tty, step: '--expect "> "', atMs: expect.any(Number), matched: '> ' },
      ],
      captures: { version: '1.2.3' },
      ttys: [{ tty, bytesRead: 13, lostBytes: 0, logGapBytes: 0 }],
    };
    expect(outcome()).toEqual(told);
    expect((await place.run(...steps, '--json', file(), '--replay', recording)).status).toBe(0);
    expect(outcome()).toEqual(told);
  });
});

test('a failure is told with who has to act, where it was, and what came last', async () => {
  dut.on('go\n', 'one\r\n*** PANIC: overflow\r\n');
  const args = ['--tty', dut.ttyPath, '--line', 'go', '--expect', 'two', '--json', '-'];
  const { status, stdout } = await place.run(...args);
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    verdict: 'fail',
    status: 1,
    blame: 'verdict',
    tty: dut.ttyPath,
    step: '--expect "two"',
    message: `${dut.ttyPath}: the board crashed (sai-uno): "*** PANIC: overflow" while waiting for "two"`,
    crash: { family: 'sai-uno', line: '*** PANIC: overflow' },
    tail: ['one', '*** PANIC: overflow'],
    steps: [{ step: '--line "go"' }],
  });
});

test.each<[string, string[], object]>([
  ['a tty that is missing', ['--tty', '/dev/nope', '--expect', 'x'], { verdict: 'infra', status: 74 }],
  ['a script that is wrong', ['--script', 'gone.yaml'], { verdict: 'fail', status: 78, blame: 'config' }],
  ['an option that there is not', ['--exepct', 'x'], { verdict: 'fail', status: 64, blame: 'usage' }],
  ['a format that there is not', ['--results', 'x'], { verdict: 'fail', status: 64, blame: 'usage' }],
  ['a jig that there is not', ['--tty', '/dev/null', '--jig', 'x'], { verdict: 'infra', status: 78 }],
  ['a tty that nobody named', ['--expect', 'x'], { verdict: 'fail', status: 64, blame: 'usage' }],
])('%s is told', async (_what, args, told) => {
  const ended = await place.run('--json', file(), ...args);
  expect(outcome()).toMatchObject({ ...told, message: ended.stderr[0]?.replace('sai-expect: ', '') });
  expect(outcome()).toMatchObject({ status: ended.status });
});

test('a run that was told to stop is cancelled, and one that was killed has not ended', async () => {
  const args = ['--tty', dut.ttyPath, '--send', 'x', '--expect', 'never', '--json', file()];
  dut.on('x', () => dut.say('hello\r\n'));
  let started = place.start([...args, '--echo']);
  started.child.stdout?.once('data', () => started.child.kill('SIGTERM'));
  expect((await started.ended).status).toBe(143);
  expect(outcome()).toMatchObject({
    verdict: 'cancelled',
    status: 143,
    message: expect.stringMatching(/: told to stop by SIGTERM after \d+ ms while waiting for "never"$/),
    tty: dut.ttyPath,
    step: '--expect "never"',
    tail: ['hello'],
  });
  started = place.start(args);
  await until(() => existsSync(file()) && !readFileSync(file(), 'utf8').includes('cancelled'), 'it runs');
  started.child.kill('SIGKILL');
  await started.ended;
  expect(outcome()).toMatchObject({ verdict: 'infra', message: 'sai-expect has not ended, or was killed' });
  expect(outcome()).not.toHaveProperty('status');
  expect(readdirSync(place.folder).filter((name) => name.includes('.new'))).toEqual([]);
  place.clear();
});

test.for([
  { what: 'that failed keep its status', said: 'PANIC', verdict: 'fail', status: 1 },
  { what: 'that would have passed make it the fault of the rig', said: 'ok', verdict: 'infra', status: 78 },
])(
  'a recording and findings that cannot be written, of a run $what',
  async ({ said, verdict, status }, context) => {
    context.skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
    const disk = smallDisk(128 * 1024);
    place.set('SAI_FINDINGS', disk);
    dut.on('go\n', (board) => {
      expect(() => appendFileSync(join(disk, 'filler'), Buffer.alloc(1024 * 1024))).toThrow('ENOSPC');
      board.say(`${'x'.repeat(5000)}${said}\n`);
    });
    const record = ['--record', join(disk, 'x.rec'), '--json', file()];
    const args = ['--tty', dut.ttyPath, '--line', 'go', '--fail', 'PANIC', '--expect', 'ok'];
    const ended = await place.run(...args, ...record);
    expect(ended.status).toBe(status);
    const stderr = ended.stderr.join('\n');
    expect(stderr).toMatch(/x\.rec: the recording ends after \d+ bytes: ENOSPC/);
    expect(stderr).toContain(`${disk}: cannot append a finding: EISDIR`);
    expect(outcome()).toMatchObject({ verdict, status });
  },
);

test('secrets are in no step, and of many steps the last ones are told', async () => {
  place.set('TOKEN', 'hunter2');
  const script = join(place.folder, 's.json');
  const steps = [{ repeat: { times: 600, steps: [{ send: '${token}' }, { pause: '0s' }] } }];
  writeFileSync(script, JSON.stringify({ variables: { token: { env: 'TOKEN' } }, steps }));
  expect((await place.run('--tty', dut.ttyPath, '--script', script, '--json', file())).status).toBe(0);
  const told = outcome();
  expect(told['steps']).toHaveLength(1000);
  expect(told['stepsBefore']).toBe(200);
  expect(JSON.stringify(told)).not.toContain('hunter2');
});

test.each<[string, string[], number, string]>([
  ['a file that cannot be written', ['--json', '/nope/x.json', '--expect', 'x'], 78, 'cannot be written'],
  ['what is no file', ['--json', '/dev/null', '--expect', 'x'], 64, 'expected a file or a free name'],
  ['two things on stdout', ['--json', '-', '--echo', '--expect', 'x'], 64, 'expected stdout to be free'],
  ['a plan', ['--json', '-', '--script', 'x', '--dry-run'], 64, 'expected a run, got --dry-run'],
  ['a recording that is printed', ['--json', '-', '--to-cast', 'x'], 64, 'expected a run, got --to-cast'],
])('%s is refused', async (_what, args, status, said) => {
  const ended = await place.run(...args);
  expect(ended).toMatchObject({ status, stderr: [expect.stringContaining(said)] });
  // A program that reads stdout finds an object there, whatever was wrong.
  if (args.includes('-')) expect(JSON.parse(ended.stdout)).toMatchObject({ verdict: 'fail', status });
  else expect(ended.stdout).toBe('');
});
