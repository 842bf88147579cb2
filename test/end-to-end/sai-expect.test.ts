import { chmodSync, chownSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTtySettings } from '../../src/native/termios.ts';
import { CHUNKINGS, DutOnPty } from '../peers/dut-on-pty.ts';
import { said, Workplace } from '../peers/expect-command.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = new Workplace();
});

afterEach(async () => {
  await dut?.[Symbol.asyncDispose]();
  expect(place.leftovers()).toEqual([]);
  await place[Symbol.asyncDispose]();
});

describe.each(CHUNKINGS)('a board that talks in %s', (chunking) => {
  beforeEach(() => {
    dut = new DutOnPty(chunking);
  });

  test('steps that are met are a pass, and say nothing', async () => {
    dut.say('boot\r\n> ');
    dut.on('version\n', '\r\nsai 1.2.3\r\n> ');
    const ended = await place.run(
      ...[
        '--tty',
        dut.ttyPath,
        '--expect',
        '> ',
        '--line',
        'version',
        '--regex',
        '^sai \\d+',
        '--expect',
        '> ',
      ],
    );
    expect(ended).toEqual({ status: 0, signal: null, stdout: '', stderr: [] });
    expect(place.findings).toEqual([]);
    expect(dut.heard()).toBe('version\n');
  });

  test('silence is a fail that says what was expected and what came', async () => {
    dut.say('U-Boot\r\nStarting kernel \x1b[1m...\r\n');
    const ended = await place.run('--tty', dut.ttyPath, '--expect', 'login: ', '--timeout', '300ms');
    expect(ended).toEqual({
      status: 1,
      signal: null,
      stdout: '',
      stderr: [
        `sai-expect: ${dut.ttyPath}: expected "login: " within 300 ms; last lines:`,
        'sai-expect:   | U-Boot',
        'sai-expect:   | Starting kernel \\e[1m...',
      ],
    });
    expect(place.findings).toMatchObject([
      {
        tool: 'sai-expect',
        verdict: 'fail',
        blame: 'verdict',
        tty: dut.ttyPath,
        step: '--expect "login: "',
        evidence: `${dut.ttyPath}: expected "login: " within 300 ms; last lines: | U-Boot | Starting kernel \\e[1m...`,
      },
    ]);
  });

  test('a fail text ends the wait at once', async () => {
    dut.on('go\n', 'running\r\nassertion failed\r\nCompleted: PASS\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'go', '--pass', 'Completed: PASS', '--fail', 'assertion failed'],
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toBe(
      `sai-expect: ${dut.ttyPath}: the board said "assertion failed", a fail text, while waiting for "Completed: PASS"; last lines:`,
    );
  });

  test('a pass text after the steps is the pass', async () => {
    dut.on('go\n', 'running\r\n1 ok\r\nCompleted: PASS\r\n');
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'go', '--pass', 'Completed: PASS');
    expect(ended).toMatchObject({ status: 0, stderr: [] });
  });

  test('a crash is a crash and not a time-out', async () => {
    dut.on('crash\n', '\r\n*** PANIC: stack overflow\r\n');
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'crash', '--expect', 'ok');
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toBe(
      `sai-expect: ${dut.ttyPath}: the board crashed (sai-uno): "*** PANIC: stack overflow" while waiting for "ok"; last lines:`,
    );
    expect(place.findings).toMatchObject([{ verdict: 'fail', blame: 'verdict', step: '--expect "ok"' }]);
  });

  test('a crash that the step asks for is a pass', async () => {
    dut.on('crash\n', '\r\n*** PANIC: stack overflow\r\nrebooting\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'crash', '--expect', 'stack overflow', '--expect', 'rebooting'],
    );
    expect(ended).toMatchObject({ status: 0, stderr: [] });
  });

  test('a crash line without its end is told when time is up', async () => {
    dut.on('crash\n', '\r\n*** PANIC: dead');
    const ended = await place.run(
      '--tty',
      dut.ttyPath,
      '--line',
      'crash',
      '--expect',
      'ok',
      '--timeout',
      '300ms',
    );
    expect(ended.stderr[0]).toContain('the board crashed (sai-uno): "*** PANIC: dead"');
  });

  test('a tty that goes away in the middle of a step is a fault of the rig, told at once', async () => {
    dut.on('x', (board) => {
      board.say('last words\r\n');
    });
    const started = place.start([
      '--tty',
      dut.ttyPath,
      '--send',
      'x',
      '--expect',
      'never',
      '--timeout',
      'never',
      '--echo',
    ]);
    await new Promise<void>((resolve) => started.child.stdout.once('data', () => resolve()));
    dut.unplug();
    const ended = await started.ended;
    expect(ended.status).toBe(74);
    expect(ended.stderr[0]).toMatch(/: the tty went away \(.*\) while waiting for "never"; last lines:$/);
    expect(place.findings).toMatchObject([{ verdict: 'infra', blame: 'hardware', step: '--expect "never"' }]);
  });

  test('a stale text cannot pass after a fresh step', async () => {
    dut.say('Completed: PASS\r\n'.repeat(200));
    dut.on('selftest\n', 'testing\r\nCompleted: FAIL\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--fresh', '--line', 'selftest'],
      ...['--pass', 'Completed: PASS', '--fail', 'Completed: FAIL'],
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain('the board said "Completed: FAIL"');
  });

  test('a pass text does not count while a fresh step is to come', async () => {
    dut.say('Completed: PASS\r\n> ');
    dut.on('selftest\n', 'Completed: FAIL\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--expect', '> ', '--fresh', '--line', 'selftest'],
      ...['--pass', 'Completed: PASS', '--fail', 'Completed: FAIL'],
    );
    expect(ended.status).toBe(1);
  });

  test('a fresh step ends although the board never pauses', async () => {
    let isTalking = true;
    const talking = (async () => {
      while (isTalking) {
        await dut.sayAll('Completed: PASS\r\n');
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    dut.on('stop\n', (board) => {
      isTalking = false;
      board.say('\r\nstopped\r\n');
    });
    const ended = await place.run(
      '--tty',
      dut.ttyPath,
      '--fresh',
      '--line',
      'stop',
      '--expect',
      '\\nstopped',
    );
    isTalking = false;
    await talking;
    expect(ended).toMatchObject({ status: 0, stderr: [] });
  });

  test('--echo shows what the board says as it is', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    dut.say(Buffer.concat([bytes, Buffer.from('end')]));
    const ended = await place.run('--tty', dut.ttyPath, '--echo', '--expect', 'end');
    expect(ended.stdout).toBe(`${bytes.toString('latin1')}end`);
  });
});

describe('without steps', () => {
  test('the pass text of Sai is the pass, on either tty', async () => {
    dut = new DutOnPty();
    await using second = new DutOnPty();
    place.set('SAI_DEVICE_TTY0', dut.ttyPath);
    place.set('SAI_DEVICE_TTY1', second.ttyPath);
    dut.say('CompCompleted: PAS\r\n*** PANIC: of no interest here\r\n');
    second.say('Completed: PASS');
    expect(await place.run()).toEqual({ status: 0, signal: null, stdout: '', stderr: [] });
    expect(readTtySettings(second.ttyFd)).toMatchObject({ baudRate: 115_200, raw: true, echo: false });
  });

  test('the fail text of Sai is a fail', async () => {
    dut = new DutOnPty();
    place.set('SAI_DEVICE_TTY0', dut.ttyPath);
    dut.say('Completed: FAIL');
    const ended = await place.run();
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain(`tty0 (${dut.ttyPath}): the board said "Completed: FAIL"`);
  });

  test('a second tty that is missing is told, and the first let go of', async () => {
    dut = new DutOnPty();
    place.set('SAI_DEVICE_TTY0', dut.ttyPath);
    place.set('SAI_DEVICE_TTY1', '/dev/not-there');
    const ended = await place.run();
    expect(ended.status).toBe(74);
    expect(ended.stderr).toEqual([
      'sai-expect: tty1 (/dev/not-there): expected a tty, found nothing at this path; is the board plugged in?',
    ]);
  });
});

describe.each(CHUNKINGS)('under a lease, a board that talks in %s', (chunking) => {
  test('what one call has read too much is what the next one sees first', async () => {
    dut = new DutOnPty(chunking);
    const folder = place.lease(dut.ttyPath);
    dut.say('first second third');
    expect(await place.run('--expect', 'first')).toMatchObject({ status: 0 });
    expect(await place.run('--tty', 'shell', '--expect', 'second')).toMatchObject({ status: 0 });
    dut.say(' fourth');
    expect(await place.run('--tty', dut.ttyPath, '--expect', 'third fourth')).toMatchObject({ status: 0 });
    expect(readFileSync(join(folder, 'console-0.unread'), 'latin1')).toBe('');
    expect(readTtySettings(dut.ttyFd).baudRate).toBe(57_600);
  });

  test('what a killed call had read is seen by the next one', async () => {
    dut = new DutOnPty(chunking);
    place.lease(dut.ttyPath);
    dut.say('used unused');
    const killed = place.start(['-v', '--expect', 'used ', '--expect', 'never', '--timeout', 'never']);
    await said(killed, '--expect "never"');
    const kept = join(place.folder, 'lease', 'console-0.unread');
    await expect.poll(() => existsSync(kept) && readFileSync(kept, 'latin1')).toBe('unused');
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(await place.run('--expect', 'used', '--timeout', '300ms')).toMatchObject({ status: 0 });
    expect(await place.run('--expect', 'unused', '--timeout', '300ms')).toMatchObject({ status: 1 });
  });

  test('a stale pass in the kept bytes cannot pass after a fresh step', async () => {
    dut = new DutOnPty(chunking);
    place.lease(dut.ttyPath);
    dut.say('ready Completed: PASS');
    expect(await place.run('--expect', 'ready')).toMatchObject({ status: 0 });
    const ended = await place.run('--fresh', '--pass', 'Completed: PASS', '--timeout', '400ms');
    expect(ended.status).toBe(1);
    expect(await place.run('--expect', 'PASS', '--timeout', '300ms')).toMatchObject({ status: 1 });
  });
});

test('the kept bytes are bounded', async () => {
  dut = new DutOnPty();
  const folder = place.lease(dut.ttyPath);
  const started = place.start(['--expect', 'the end', '--expect', 'never', '--timeout', '2s']);
  await dut.sayAll('the end'.padStart(100_000));
  await dut.sayAll('x'.repeat(300_000));
  expect(await started.ended).toMatchObject({ status: 1 });
  expect(readFileSync(join(folder, 'console-0.unread')).length).toBe(64 * 1024);
});

test('a second reader of a console waits its turn', async () => {
  dut = new DutOnPty();
  place.lease(dut.ttyPath);
  const first = place.start(['-v', '--expect', 'one', '--timeout', 'never']);
  await said(first, '--expect');
  const second = place.start(['--expect', 'two']);
  await said(second, `waiting for process ${first.child.pid} (`);
  dut.say('one two');
  expect(await first.ended).toMatchObject({ status: 0 });
  expect(await second.ended).toMatchObject({ status: 0 });
});

test.each(['under a lease', 'without a lease'])(
  'a second reader gives up after its time-out, %s',
  async (where) => {
    dut = new DutOnPty();
    if (where === 'under a lease') place.lease(dut.ttyPath);
    const first = place.start(['-v', '--tty', dut.ttyPath, '--expect', 'one', '--timeout', 'never']);
    await said(first, '--expect');
    const ended = await place.run('--quiet', '--tty', dut.ttyPath, '--expect', 'two', '--timeout', '300ms');
    expect(ended.status).toBe(75);
    expect(ended.stderr).toHaveLength(1);
    expect(ended.stderr[0]).toMatch(
      new RegExp(`expected its console to be free, process ${first.child.pid} \\(.*\\) still reads it`),
    );
    expect(place.findings).toMatchObject([{ verdict: 'infra', blame: 'busy' }]);
    first.child.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ status: 143 });
  },
);

test('the lock of a killed reader keeps nobody waiting', async () => {
  dut = new DutOnPty();
  const killed = place.start(['-v', '--tty', dut.ttyPath, '--expect', 'x', '--timeout', 'never']);
  await said(killed, '--expect');
  killed.child.kill('SIGKILL');
  await killed.ended;
  expect(place.leftovers()).toHaveLength(1);
  dut.say('y');
  expect(await place.run('--tty', dut.ttyPath, '--expect', 'y', '--timeout', '5s')).toMatchObject({
    status: 0,
  });
});

test('a reader that waits for its turn ends when told to', async () => {
  dut = new DutOnPty();
  const first = place.start(['-v', '--tty', dut.ttyPath, '--expect', 'x', '--timeout', 'never']);
  await said(first, '--expect');
  const second = place.start(['--tty', dut.ttyPath, '--expect', 'x', '--timeout', 'never']);
  await said(second, 'waiting for process');
  second.child.kill('SIGTERM');
  expect(await second.ended).toMatchObject({ status: 143 });
  dut.say('x');
  expect(await first.ended).toMatchObject({ status: 0 });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  'a command that waits on a silent tty ends at %s at once, without a finding',
  async (signal, status) => {
    dut = new DutOnPty();
    const started = place.start(['-v', '--tty', dut.ttyPath, '--expect', 'x', '--timeout', 'never']);
    await said(started, '--expect');
    started.child.kill(signal);
    expect(await started.ended).toMatchObject({ status, signal: null });
    expect(place.findings).toEqual([]);
  },
);

test('a send that the board does not take ends with its deadline', async () => {
  dut = new DutOnPty();
  const ended = await place.run('--tty', dut.ttyPath, '--send', 'x'.repeat(100_000), '--timeout', '300ms');
  expect(ended.status).toBe(1);
  expect(ended.stderr[0]).toMatch(
    /expected the tty to take what --send "x+…" sends within 300 ms; nothing arrived$/,
  );
});

test('a tty that goes away in the middle of a send is told at once', async () => {
  dut = new DutOnPty();
  const started = place.start([
    '-v',
    '--tty',
    dut.ttyPath,
    '--send',
    'x'.repeat(100_000),
    '--timeout',
    'never',
  ]);
  await said(started, '--send');
  dut.unplug();
  expect(await started.ended).toMatchObject({ status: 74 });
});

test('serialport as the driver gives the same outcome', async () => {
  dut = new DutOnPty();
  dut.on('version\n', '\r\nsai 1.2.3\r\n> ');
  const driver = ['--driver', 'serialport', '--tty', dut.ttyPath];
  const ended = await place.run(...driver, '--line', 'version', '--expect', 'sai 1.2.3');
  expect(ended).toEqual({ status: 0, signal: null, stdout: '', stderr: [] });
});

test('--verbose-on-fail shows everything that is kept', async () => {
  dut = new DutOnPty();
  dut.say(Array.from({ length: 20 }, (_, line) => `line ${line}\r\n`).join(''));
  const ended = await place.run(
    '--tty',
    dut.ttyPath,
    '--expect',
    'x',
    '--timeout',
    '200ms',
    '--verbose-on-fail',
  );
  expect(ended.stderr).toHaveLength(21);
  expect(ended.stderr[1]).toBe('sai-expect:   | line 0');
});

test('--optional leaves no finding', async () => {
  const ended = await place.run('--tty', '/dev/not-there', '--expect', 'x', '--optional');
  expect(ended.status).toBe(74);
  expect(place.findings).toEqual([]);
});

test.each([
  [
    'a bad regex',
    ['--regex', '('],
    64,
    /^sai-expect: --regex: Unterminated group in regular expression "\("$/,
  ],
  ['an unknown flag', ['--expcet', 'x'], 64, /unknown option '--expcet'.*--expect/],
  ['an argument too many', ['x'], 64, /too many arguments/],
  ['a flag without its value', ['--expect'], 64, /argument missing/],
  ['an empty text', ['--expect', ''], 64, /--expect: expected at least one byte of text, got none/],
  ['an unknown escape', ['--send', '\\q'], 64, /--send: expected one of .*, got "\\\\q"/],
  ['a time without a unit', ['--timeout', '10'], 64, /--timeout: expected a duration such as 300ms/],
  ['a bad rate', ['--baud', 'fast'], 64, /--baud/],
  ['a bad choice', ['--eol', 'x'], 64, /--eol.*Allowed choices are lf, cr, crlf, none/],
  [
    'no tty',
    ['--expect', 'x'],
    64,
    /--tty 0: expected SAI_DEVICE_TTY0 to name a tty, it is not set; run under sai-device/,
  ],
  [
    'a missing tty',
    ['--tty', '/dev/nope', '--expect', 'x'],
    74,
    /^sai-expect: \/dev\/nope: expected a tty, found nothing/,
  ],
  ['no tty at all', ['--tty', '/dev/null', '--expect', 'x'], 74, /expected a tty, found something else/],
])('%s is one line and its status', async (_what, args, status, message) => {
  const ended = await place.run(...args);
  expect(ended).toMatchObject({ status, signal: null, stdout: '' });
  expect(ended.stderr).toHaveLength(1);
  expect(ended.stderr[0]).toMatch(message);
  expect(place.findings).toMatchObject([{ verdict: status === 64 ? 'fail' : 'infra' }]);
});

test('an index or name that the lease does not have is refused, naming those it has', async () => {
  dut = new DutOnPty();
  place.lease(dut.ttyPath);
  const ended = await place.run('--tty', 'shel', '--expect', 'x');
  expect(ended).toMatchObject({
    status: 64,
    stderr: ['sai-expect: --tty shel: expected one of 0, shell, or a path (did you mean "shell"?)'],
  });
});

test('any name of a leased tty means the leased tty', async () => {
  dut = new DutOnPty();
  place.lease(dut.ttyPath);
  const link = join(place.folder, 'by-id');
  symlinkSync(dut.ttyPath, link);
  dut.say('one two');
  expect(await place.run('--tty', link, '--expect', 'one')).toMatchObject({ status: 0 });
  expect(await place.run('--tty', '0', '--expect', 'two')).toMatchObject({ status: 0 });
});

test('a finding that cannot be written is told after the failure itself', async () => {
  place.set('SAI_FINDINGS', join(place.folder, 'no', 'such', 'folder'));
  const ended = await place.run('--tty', '/dev/not-there', '--expect', 'x');
  expect(ended.status).toBe(78);
  expect(ended.stderr).toHaveLength(2);
  expect(ended.stderr[0]).toContain('/dev/not-there: expected a tty, found nothing');
  expect(ended.stderr[1]).toContain('cannot append a finding: ENOENT');
});

test('a lease that has ended is told', async () => {
  place.set('SAI_DEVICE_LEASE', '/run/no-such-lease');
  place.set('SAI_DEVICE_TTY0', '/dev/not-there');
  expect(await place.run('--expect', 'x')).toMatchObject({ status: 69 });
});

test('a lease record that is none is told', async () => {
  dut = new DutOnPty();
  writeFileSync(join(place.lease(dut.ttyPath), 'lease.json'), '{"version": 2}');
  expect(await place.run('--expect', 'x')).toMatchObject({ status: 76 });
});

test('a tty that this login may not open is refused', async ({ skip }) => {
  skip(process.getuid?.() !== 0, 'needs root to give up root: setpriv');
  dut = new DutOnPty();
  chownSync(dut.ttyPath, 0, 0);
  chmodSync(dut.ttyPath, 0o000);
  const bare = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all', '--'];
  const ended = await place.start(['--tty', dut.ttyPath, '--expect', 'x'], bare).ended;
  expect(ended.status).toBe(74);
  expect(ended.stderr).toHaveLength(1);
  expect(ended.stderr[0]).toContain('cannot be opened for reading and writing (EACCES)');
});

test('--help has examples, and is no failure', async () => {
  const ended = await place.run('--help');
  expect(ended).toMatchObject({ status: 0, stderr: [] });
  expect(ended.stdout).toContain('sai-expect --tty /dev/ttyUSB0');
});
