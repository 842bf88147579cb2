import { type Console, ExpectationError, openConsole, RigError } from 'sai-rig/expect';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tryFlock } from '../../src/native/flock.ts';
import { DutOnPty } from '../peers/dut-on-pty.ts';
import { said, Workplace } from '../peers/expect-command.ts';
import { ROOT, runCommand, startLab } from '../peers/running-lab.ts';

let place: Workplace;
let dut: DutOnPty;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  place = new Workplace();
  dut = new DutOnPty();
  const folder = place.lease(dut.ttyPath);
  env = { SAI_DEVICE_LEASE: folder, SAI_DEVICE_TTY0: dut.ttyPath, SAI_RUN_DIR: place.runDir };
});

afterEach(async () => {
  await dut[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const open = (options: Parameters<typeof openConsole>[1] = {}): Promise<Console> =>
  openConsole('0', { env, timeoutMs: 10_000, ...options });

test('what is sent is answered, and a match tells which it was, what, and with which groups', async () => {
  dut.on('version\n', 'fw 1.2 (abc)\r\n> ');
  await using console = await open();
  await console.line('version');
  const match = await console.expect(['never', /^fw (?<version>[\d.]+) \((\w+)\)/]);
  expect(match).toMatchObject({
    index: 1,
    text: 'fw 1.2 (abc)',
    groups: ['fw 1.2 (abc)', '1.2', 'abc'],
    named: { version: '1.2' },
  });
  expect(await console.expect('> ')).toMatchObject({ index: 0, text: '> ', groups: [] });
});

test('a wait may begin before what it waits for is asked', async () => {
  dut.on('go\n', 'gone');
  await using console = await open();
  const waiting = console.expect('gone');
  await console.line('go');
  expect((await waiting).text).toBe('gone');
});

test('silence rejects with the last lines, and the console goes on', async () => {
  dut.say('booting\r\n');
  await using console = await open();
  const error: unknown = await console.expect('ready', { timeoutMs: 300 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ExpectationError);
  expect(error).toBeInstanceOf(RigError);
  expect(error).toMatchObject({
    blame: 'verdict',
    message: `tty0 (${dut.ttyPath}): expected "ready" within 300 ms; last lines:`,
    tail: ['booting'],
  });
  dut.say('ready');
  await console.expect('booting');
  await console.expect('ready');
});

test('silence after a fresh start is told from lines that are older', async () => {
  dut.say('booting\r\n');
  await using console = await open();
  await console.expect('booting');
  await console.break(1);
  await expect(console.expect('ready', { timeoutMs: 300 })).rejects.toMatchObject({
    message: `tty0 (${dut.ttyPath}): expected "ready" within 300 ms; nothing arrived since break(); last lines:`,
    tail: ['[before break()] booting'],
  });
});

test('an aborted wait rejects with the reason, and uses nothing up', async () => {
  dut.say('ready');
  await using console = await open();
  const stopper = new AbortController();
  const reason = new Error('enough');
  const waiting = console.expect('never', { signal: stopper.signal });
  stopper.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await console.expect('ready');
});

test('two waits at a time are refused', async () => {
  await using console = await open();
  const first = console.expect('ready');
  await expect(console.expect('other')).rejects.toMatchObject({ blame: 'usage' });
  dut.say('ready');
  await first;
});

test('an armed text and a crash end every wait, until something makes the console fresh', async () => {
  await using console = await open({ fail: ['FAILED'], pass: ['ALL OK'] });
  dut.say('test 1 FAILED\r\n');
  await expect(console.expect('ready')).rejects.toMatchObject({
    blame: 'verdict',
    message: expect.stringContaining(
      'the board said "FAILED", a fail text, while waiting for "ready"',
    ) as string,
  });
  await expect(console.verdict()).rejects.toThrow('a fail text, while waiting for "ALL OK"');
  await console.fresh();
  dut.say("Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n");
  await expect(console.expect('ready')).rejects.toThrow('the board crashed (esp-idf)');
  await console.break(10);
  dut.say('ALL OK\r\n');
  expect((await console.verdict()).text).toBe('ALL OK');
  expect((await console.verdict()).text).toBe('ALL OK');
});

test('what one has read and not used, the command sees first, and the other way round', async () => {
  dut.say('one two three');
  {
    await using console = await open();
    await console.expect('one');
  }
  expect(await place.run('--expect', 'two')).toMatchObject({ status: 0 });
  await using console = await open();
  expect((await console.expect([' two', ' three'])).index).toBe(1);
});

test('the command waits for the console, which waits for the command', async () => {
  const console = await open();
  expect(await place.run('--expect', 'x', '--timeout', '200ms')).toMatchObject({ status: 75 });
  await console.release();
  await console.release();
  const command = place.start(['-v', '--expect', 'ready', '--timeout', 'never']);
  await said(command, '--expect "ready"');
  await expect(open({ timeoutMs: 100 })).rejects.toMatchObject({ blame: 'busy' });
  dut.say('ready');
  expect(await command.ended).toMatchObject({ status: 0 });
  await using again = await open();
  expect(again.label).toBe(`tty0 (${dut.ttyPath})`);
});

test('lines come whole, and what follows the last one taken is for the next wait', async () => {
  dut.say('old\r\n');
  await using console = await open();
  dut.say('a=1\r\nb=2\r\n\r\nrest> ');
  const taken: string[] = [];
  for await (const line of console.lines()) {
    taken.push(line);
    if (line === '') break;
  }
  expect(taken).toEqual(['old', 'a=1', 'b=2', '']);
  await console.expect('rest> ');
});

test('a line without an end is refused before it costs memory, and silence rejects', async () => {
  await using console = await open();
  dut.say('x'.repeat(100));
  const tooLong = console.lines({ maxBytes: 50 })[Symbol.asyncIterator]();
  await expect(tooLong.next()).rejects.toMatchObject({ blame: 'protocol' });
  await console.expect('x'.repeat(100));
  const silent = console.lines({ timeoutMs: 100 })[Symbol.asyncIterator]();
  await expect(silent.next()).rejects.toThrow('expected a line within 100 ms');
});

test('a tty that goes away rejects every call with hardware as its blame', async () => {
  const console = await open();
  const waiting = console.expect('never');
  dut.unplug();
  await expect(waiting).rejects.toMatchObject({
    blame: 'hardware',
    message: expect.stringContaining('the tty went away') as string,
  });
  await expect(console.line('x')).rejects.toMatchObject({ blame: 'hardware' });
  await expect(console.lines()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ blame: 'hardware' });
  await console.release();
});

test('a path without a lease is locked while it is open', async () => {
  const console = await openConsole(dut.ttyPath, { env: { SAI_RUN_DIR: place.runDir } });
  expect(tryFlock(dut.ttyFd)).toBe(false);
  await console.release();
  expect(tryFlock(dut.ttyFd)).toBe(true);
  expect(place.leftovers()).toEqual([]);
});

test.each([
  ['7', {}, 'usage'],
  ['0', { fail: [''] }, 'usage'],
  ['0', { fail: [/a/i] }, 'usage'],
  ['0', { format: '7E1' }, 'hardware'],
] as const)('%s with %j is refused, and nothing stays held', async (tty, options, blame) => {
  await expect(openConsole(tty, { env, ...options })).rejects.toMatchObject({ blame });
  await using console = await open();
  expect(console.label).toContain('tty0');
});

test.each([
  ['vitest-uno', 'npx', ['vitest', 'run', '--root', 'examples/vitest-uno']],
  ['node-test-uno', process.execPath, ['--test', 'examples/node-test-uno/uno.test.mjs']],
] as const)('the example %s passes on a virtual Uno', { timeout: 60_000 }, async (_name, command, args) => {
  const lab = await startLab('held by a jig');
  const outcome = await runCommand('sai-device', ['--quiet', 'uno', command, ...args], {
    env: lab.env,
    cwd: ROOT,
  });
  expect(outcome.status, outcome.stdout + outcome.stderr).toBe(0);
});
