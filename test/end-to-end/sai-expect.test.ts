import { beforeEach, describe, expect, test } from 'vitest';
import { readTtySettings } from '../../src/native/termios.ts';
import { CHUNKINGS, type DutOnPty } from '../peers/dut-on-pty.ts';
import { said, type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
});

describe.each(CHUNKINGS)('a board that talks in %s', (chunking) => {
  beforeEach(() => {
    dut = place.newDut(chunking);
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
      '--tty',
      dut.ttyPath,
      '--line',
      'go',
      '--pass',
      'Completed: PASS',
      '--fail',
      'assertion failed',
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
      '--tty',
      dut.ttyPath,
      '--line',
      'crash',
      '--expect',
      'stack overflow',
      '--expect',
      'rebooting',
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
      '--tty',
      dut.ttyPath,
      '--fresh',
      '--line',
      'selftest',
      '--pass',
      'Completed: PASS',
      '--fail',
      'Completed: FAIL',
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain('the board said "Completed: FAIL"');
  });

  test('a pass text does not count while a fresh step is to come', async () => {
    dut.say('Completed: PASS\r\n> ');
    dut.on('selftest\n', 'Completed: FAIL\r\n');
    const ended = await place.run(
      '--tty',
      dut.ttyPath,
      '--expect',
      '> ',
      '--fresh',
      '--line',
      'selftest',
      '--pass',
      'Completed: PASS',
      '--fail',
      'Completed: FAIL',
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

describe('what came before a fresh step', () => {
  beforeEach(() => {
    dut = place.newDut().on('go\n', 'going\r\n');
    dut.say('old one\r\nold two\r\n');
  });

  test('is not taken for an answer to it in what is told of silence', async () => {
    const args = ['--tty', dut.ttyPath, '--fresh', '--expect', 'ready', '--timeout', '300ms'];
    const silent = `expected "ready" within 300 ms; nothing arrived since --fresh; last lines:`;
    const tail = ['[before --fresh] old one', '[before --fresh] old two'];
    expect(await place.run(...args)).toEqual({
      status: 1,
      signal: null,
      stdout: '',
      stderr: [`sai-expect: ${dut.ttyPath}: ${silent}`, ...tail.map((line) => `sai-expect:   | ${line}`)],
    });
    expect(place.findings).toMatchObject([{ evidence: `${dut.ttyPath}: ${silent} | ${tail.join(' | ')}` }]);
  });

  test.each([[], ['--verbose-on-fail']])('is told apart from what came since %j', async (...flags) => {
    const args = ['--tty', dut.ttyPath, '--fresh', '--line', 'go', '--expect', 'ready'];
    const ended = await place.run(...args, '--timeout', '500ms', ...flags);
    expect(ended.stderr).toEqual([
      `sai-expect: ${dut.ttyPath}: expected "ready" within 500 ms; last lines:`,
      'sai-expect:   | [before --fresh] old one',
      'sai-expect:   | [before --fresh] old two',
      'sai-expect:   | going',
    ]);
  });
});

describe('without steps', () => {
  test('the pass text of Sai is the pass, on either tty', async () => {
    dut = place.newDut();
    const second = place.newDut();
    place.set('SAI_DEVICE_TTY0', dut.ttyPath);
    place.set('SAI_DEVICE_TTY1', second.ttyPath);
    dut.say('CompCompleted: PAS\r\n*** PANIC: of no interest here\r\n');
    second.say('Completed: PASS');
    expect(await place.run()).toEqual({ status: 0, signal: null, stdout: '', stderr: [] });
    expect(readTtySettings(second.ttyFd)).toMatchObject({ baudRate: 115_200, raw: true, echo: false });
  });

  test('the fail text of Sai is a fail', async () => {
    dut = place.newDut();
    place.set('SAI_DEVICE_TTY0', dut.ttyPath);
    dut.say('Completed: FAIL');
    const ended = await place.run();
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain(`tty0 (${dut.ttyPath}): the board said "Completed: FAIL"`);
  });

  test('a second tty that is missing is told, and the first let go of', async () => {
    dut = place.newDut();
    place.set('SAI_DEVICE_TTY0', dut.ttyPath);
    place.set('SAI_DEVICE_TTY1', '/dev/not-there');
    const ended = await place.run();
    expect(ended.status).toBe(74);
    expect(ended.stderr).toEqual([
      'sai-expect: tty1 (/dev/not-there): expected a tty, found nothing at this path; is the board plugged in?',
    ]);
  });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  'a command that waits on a silent tty ends at %s at once, says where it was, and leaves no finding',
  async (signal, status) => {
    dut = place.newDut();
    const started = place.start(['-v', '--tty', dut.ttyPath, '--expect', 'x', '--timeout', 'never']);
    await said(started, '--expect');
    started.child.kill(signal);
    const ended = await started.ended;
    expect(ended).toMatchObject({ status, signal: null });
    expect(ended.stderr.at(-1)?.replace(/after [\d.]+ m?s/, 'after a while')).toBe(
      `sai-expect: ${dut.ttyPath}: told to stop by ${signal} after a while while waiting for "x"; nothing arrived`,
    );
    expect(place.findings).toEqual([]);
  },
);

test('a time-out of the whole run says what its last step had, which one that was, and how long nothing came', async () => {
  dut = place.newDut();
  dut.on('a\n', '> ');
  const prompt = ['--line', 'a', '--expect', '> '];
  const args = ['--tty', dut.ttyPath, ...prompt, '--pause', '1s', ...prompt, '--expect', '> '];
  const ended = await place.run(...args, '--timeout', '1.4s');
  expect(ended.stderr[0]?.replaceAll(/\d00 ms/g, 'little').replaceAll(/\d+ ms/g, 'little')).toBe(
    `sai-expect: ${dut.ttyPath}: expected "> " (step 6); the whole run had 1.4 s, this step little of it, the board silent for little; last lines:`,
  );
});

test('a send that the board does not take ends with its deadline', async () => {
  dut = place.newDut();
  const ended = await place.run('--tty', dut.ttyPath, '--send', 'x'.repeat(100_000), '--timeout', '300ms');
  expect(ended.status).toBe(1);
  expect(ended.stderr[0]).toMatch(
    /expected the tty to take what --send "x+…" sends within 300 ms; nothing arrived$/,
  );
});

test('a tty that goes away in the middle of a send is told at once', async () => {
  dut = place.newDut();
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
  dut = place.newDut();
  dut.on('version\n', '\r\nsai 1.2.3\r\n> ');
  const driver = ['--driver', 'serialport', '--tty', dut.ttyPath];
  const ended = await place.run(...driver, '--line', 'version', '--expect', 'sai 1.2.3');
  expect(ended).toEqual({ status: 0, signal: null, stdout: '', stderr: [] });
});

test('--verbose-on-fail shows everything that is kept', async () => {
  dut = place.newDut();
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

test('--help has examples, and is no failure', async () => {
  const ended = await place.run('--help');
  expect(ended).toMatchObject({ status: 0, stderr: [] });
  expect(ended.stdout).toContain('sai-expect --tty /dev/ttyUSB0');
});
