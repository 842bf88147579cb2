import { mkdirSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Console, ExpectationError, openConsole, RigError } from 'sai-rig/expect';
import { beforeEach, expect, test } from 'vitest';
import { tryFlock } from '../../src/native/flock.ts';
import { DutOnPty } from '../peers/dut-on-pty.ts';
import { said, type Workplace, workplaceOfTest } from '../peers/expect-command.ts';
import { holdUpAfter } from '../peers/hold-up.ts';
import { Port } from '../peers/port.ts';
import { ROOT, runCommand, startLab } from '../peers/running-lab.ts';

let place: Workplace;
let dut: DutOnPty;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  place = workplaceOfTest();
  dut = place.newDut();
  const folder = place.lease(dut.ttyPath);
  env = { SAI_DEVICE_LEASE: folder, SAI_DEVICE_TTY0: dut.ttyPath, SAI_RUN_DIR: place.runDir };
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
    message: `tty0 (${dut.ttyPath}): expected "ready" within 300 ms; last lines:\n  | booting`,
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
    message: `tty0 (${dut.ttyPath}): expected "ready" within 300 ms; nothing arrived since break(); last lines:\n  | [before break()] booting`,
    tail: ['[before break()] booting'],
  });
});

test('an answer that came while this process was held up is no silence', async () => {
  await using console = await open();
  const waiting = console.expect('ready', { timeoutMs: 100 });
  await holdUpAfter(() => dut.say('ready'), 300);
  expect((await waiting).text).toBe('ready');
});

test('no pattern at all is refused, and not waited for', async () => {
  await using console = await open();
  await expect(console.expect([])).rejects.toMatchObject({
    blame: 'usage',
    message: 'expect: expected at least one pattern, got none',
  });
});

test('a wait without end is asked for with Infinity', async () => {
  await using console = await open({ timeoutMs: Number.POSITIVE_INFINITY });
  const waiting = console.expect('ready');
  await console.pause(10);
  dut.say('ready');
  await waiting;
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

test('any number of opens, waits, sends and fresh starts leaves nothing behind', async () => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', onWarning);
  const countFiles = (): number => readdirSync('/proc/self/fd').length;
  const { signal } = new AbortController();
  await (await open({ signal })).release();
  const before = countFiles();
  for (let times = 0; times < 1000; times++) await (await open({ signal })).release();
  expect(countFiles()).toBe(before);
  await using console = await open({ signal });
  for (let times = 0; times < 20; times++) {
    await console.fresh();
    await console.send('x');
    await console.expect('never', { timeoutMs: 0 }).catch(() => {});
  }
  await new Promise((resolve) => setImmediate(resolve)); // by when Node.js warns
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

test('a lease that ended meanwhile keeps nobody else from the tty', async () => {
  const console = await open();
  dut.say('used unread');
  await console.expect('used');
  rmSync(env['SAI_DEVICE_LEASE'] ?? '', { recursive: true });
  await expect(console.release()).rejects.toMatchObject({ blame: 'unavailable' });
  const isOurs = (fd: string): boolean => readlinkIfThere(`/proc/self/fd/${fd}`).includes(place.folder);
  expect(readdirSync('/proc/self/fd').filter(isOurs)).toEqual([]); // neither the console's lock nor the unread bytes
});

function readlinkIfThere(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // the descriptor of the listing itself
  }
}

test('a board that takes nothing holds up a send for as long as any wait, or until that is aborted', async () => {
  await using console = await open({ timeoutMs: 200 });
  await expect(console.send(Buffer.alloc(100_000))).rejects.toMatchObject({
    blame: 'verdict',
    message: `${console.label}: expected the tty to take 100000 bytes within 200 ms; nothing arrived`,
  });
  const stopper = new AbortController();
  const sending = console.send(Buffer.alloc(100_000), { timeoutMs: Infinity, signal: stopper.signal });
  stopper.abort(new Error('enough'));
  await expect(sending).rejects.toThrow('enough');
  await expect(console.pause(60_000, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
    'enough',
  );
});

test('an open that was aborted before opens nothing', async () => {
  await expect(open({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
});

test.each([
  ['timeoutMs', { timeoutMs: Number.NaN }],
  ['timeoutMs', { timeoutMs: -1 }],
  ['timeoutMs', { timeoutMs: 2 ** 31 }], // Node.js would fire at once
  ['baudRate', { baudRate: 0 }],
  ['baudRate', { baudRate: 9600.5 }],
])('a %s that cannot be is refused: %j', async (what, options) => {
  await expect(open(options)).rejects.toMatchObject({
    blame: 'usage',
    message: expect.stringMatching(new RegExp(`^${what}: expected .*, got `)) as string,
  });
});

test('two consoles at once are two', async () => {
  await using other = new DutOnPty();
  dut.on('a\n', 'A');
  other.on('b\n', 'B');
  await using first = await open();
  await using second = await openConsole(other.ttyPath, { env: { SAI_RUN_DIR: place.runDir } });
  const waiting = [first.expect('A'), second.expect('B')];
  await Promise.all([first.line('a'), second.line('b')]);
  expect((await Promise.all(waiting)).map(({ text }) => text)).toEqual(['A', 'B']);
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

test('after lines, a line begins, and nothing that they took is a part of what comes', async () => {
  dut.say('Completed: FA');
  await using console = await open({ fail: ['FAIL'] });
  const lines = console.lines()[Symbol.asyncIterator]();
  dut.say('\none\nIL two\n');
  for (const value of ['Completed: FA', 'one']) expect((await lines.next()).value).toBe(value);
  await lines.return?.();
  expect((await console.expect(/^IL \w+$/)).text).toBe('IL two');
});

test('all lines come that had come before they were asked for', async () => {
  await using console = await open();
  let count = 0;
  await dut.sayAll(`${'x'.repeat(999)}\n`.repeat(500));
  dut.say('last\n');
  for await (const line of console.lines()) {
    if (line === 'last') break;
    count++;
  }
  expect(count).toBe(500);
});

test('lines that nobody has asked for when the console is released are for the next one', async () => {
  dut.say('one\r\ntwo\r\nthr');
  const console = await open();
  const lines = console.lines()[Symbol.asyncIterator]();
  expect(await lines.next()).toEqual({ done: false, value: 'one' });
  await console.release();
  await expect(lines.next()).rejects.toThrow('this console has been released');
  await using next = await open();
  expect((await next.expect(['one', 'two\r\nthr'])).index).toBe(1);
});

test('the lines that were taken are the last lines in what is told of silence', async () => {
  dut.say('one\r\ntwo\r\nthr');
  await using console = await open();
  await console.expect('one');
  const lines = console.lines({ timeoutMs: 300 })[Symbol.asyncIterator]();
  for (const value of ['', 'two']) expect(await lines.next()).toEqual({ done: false, value });
  dut.say('ee');
  await expect(lines.next()).rejects.toMatchObject({ tail: ['one', 'two', 'three'] });
  await expect(console.expect('four', { timeoutMs: 100 })).rejects.toMatchObject({
    tail: ['one', 'two', 'three'],
  });
});

test('lines that nobody takes hold up the board, and not the release, which loses none of them', async () => {
  const board = dut; // that of this test, also when another one has begun
  const line = `${'x'.repeat(99)}\n`;
  let saidBytes = 0;
  const sayOn = async (): Promise<void> => {
    for (; saidBytes < 40_000_000; saidBytes += 100_000) await board.sayAll(line.repeat(1000));
  };
  board.on('go\n', () => void sayOn().catch(() => {})); // it goes with the test
  const console = await open();
  const lines = console.lines()[Symbol.asyncIterator]();
  await console.line('go');
  await lines.next();
  let before = -1;
  await expect
    .poll(
      () => {
        const hasStopped = saidBytes === before;
        before = saidBytes;
        return hasStopped;
      },
      { interval: 300, timeout: 20_000 },
    )
    .toBe(true);
  expect(saidBytes).toBeLessThan(20_000_000); // ours, the driver's 16 MiB, and the kernel's
  for (let times = 0; times < 20_000; times++) expect((await lines.next()).value).toBe('x'.repeat(99));
  await console.release();
  await expect(lines.next()).rejects.toThrow('released');
});

test('what was read for lines that nobody took is there for the next console', async () => {
  dut.say('one\ntwo\nthree> ');
  const console = await open();
  const lines = console.lines()[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('one');
  await console.release();
  await expect(lines.next()).rejects.toThrow('released');
  await using next = await open();
  expect((await next.expect(/^two\nthree> $/)).text).toBe('two\nthree> ');
});

test('after the release nothing is answered, not even a pass that has come', async () => {
  const console = await open({ pass: ['PASS'] });
  dut.say('PASS');
  await console.verdict();
  await console.release();
  const calls = {
    send: () => console.send('x'),
    line: () => console.line('x'),
    expect: () => console.expect('x'),
    verdict: () => console.verdict(),
    fresh: () => console.fresh(),
    pause: () => console.pause(1),
    break: () => console.break(1),
    drive: () => console.drive({ dtr: 'on' }),
    jig: () => console.jig('reset'),
    lines: () => console.lines()[Symbol.asyncIterator]().next(),
  };
  for (const [name, call] of Object.entries(calls))
    await expect(call(), name).rejects.toThrow(`${console.label}: this console has been released`);
});

test('a tty that is away is waited for as long as any wait, and no longer', async () => {
  using port = new Port(join(place.folder, 'port'));
  const SAI_DEVICE_LEASE = place.leaseOf([port.path], { reappearMs: 60_000 });
  port.unplug();
  const away = { env: { ...env, SAI_DEVICE_LEASE, SAI_DEVICE_TTY0: port.path }, timeoutMs: 300 };
  await expect(open(away)).rejects.toMatchObject({
    blame: 'hardware',
    message: expect.stringContaining('it is away (time is up after 300 ms)') as string,
  });
});

test('a tty that its lease lets come back is followed, and blamed for silence while it is away', async () => {
  const remarks: string[] = [];
  using port = new Port(join(place.folder, 'port'));
  place.leaseOf([port.path], { reappearMs: 60_000 });
  env['SAI_DEVICE_TTY0'] = port.path;
  await using console = await open({ onRemark: (text) => remarks.push(text) });
  port.unplug();
  await expect.poll(() => remarks.length).toBe(1);
  await expect(console.expect('ready', { timeoutMs: 10 })).rejects.toMatchObject({
    blame: 'hardware',
    message: `${console.label}: expected "ready" within 10 ms, but its tty is away; nothing arrived`,
  });
  port.plugIn();
  port.say('ready');
  await console.expect('ready');
  expect(remarks).toEqual([expect.stringContaining('the tty went away'), `${console.label}: is back`]);
});

test('what came while nobody waited and was too much to keep is told, and blamed for silence', async () => {
  const remarks: string[] = [];
  const console = await open({ onRemark: (text) => remarks.push(text) });
  let hasSaid = false;
  dut.on('go\n', (board) => {
    void board.sayAll(`${'x'.repeat(20_000_000)}done`).then(() => {
      hasSaid = true;
    });
  });
  await console.line('go');
  await console.pause(1);
  await expect.poll(() => hasSaid, { timeout: 20_000 }).toBe(true);
  await expect(console.expect('never', { timeoutMs: 200 })).rejects.toMatchObject({
    blame: 'hardware',
    message: expect.stringMatching(
      /expected "never" within 200 ms, but 20000004 bytes read, \d+ bytes lost/,
    ) as string,
  });
  await console.release();
  expect(remarks).toEqual([
    expect.stringMatching(/\d+ bytes came during a pause or a send, too many to keep/),
  ]);
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

test('a console lets go of its lock also when what it has not used cannot be kept', async () => {
  const console = await open();
  dut.say('left over');
  await console.expect('left');
  mkdirSync(join(place.folder, 'lease', 'console-0.unread.new'));
  await expect(console.release()).rejects.toMatchObject({ blame: 'unavailable' });
  rmSync(join(place.folder, 'lease', 'console-0.unread.new'), { recursive: true });
  expect(await place.run('--expect', ' over')).toMatchObject({ status: 0, stderr: [] });
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
