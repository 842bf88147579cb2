// biome-ignore-all lint/suspicious/noTemplateCurlyInString: scripts have variables of that form

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CHUNKINGS } from '../peers/dut-on-pty.ts';
import { type Ended, type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

let place: Workplace;

beforeEach(() => {
  place = workplaceOfTest();
});

/** Runs `text` as `test.yaml`. */
function runScript(text: string, ...args: string[]): Promise<Ended> {
  writeFileSync(join(place.folder, 'test.yaml'), text);
  return place.run('--script', 'test.yaml', '--timeout', '10s', ...args);
}

const passed = { status: 0, signal: null, stdout: '', stderr: [] };

describe.each(CHUNKINGS)('a script, with a board that talks in %s,', (chunking) => {
  test('goes where the answer leads, and uses what it has captured', async () => {
    const dut = place
      .newDut(chunking)
      .on('root\n', 'Password: ')
      .on('wrong\n', 'Login incorrect\r\nlogin: ')
      .on('right\n', '\r\nip 10.0.0.1\r\n# ')
      .on('ping 10.0.0.1\n', '10.0.0.1 is up\r\n# ');
    dut.say('login: ');
    const script = `
variables: {first: wrong, second: right}
steps:
  - expect: 'login: '
  - line: root
  - expect: 'Password: '
  - line: \${first}
  - choices:
      - expect: 'login: '
        then:
          - line: root
          - expect: 'Password: '
          - line: \${second}
      - expect: '# '
        then:
          - fail: that was too easy
    within: 5s
  - regex: '^ip (?<ip>[\\d.]+)$'
  - line: ping \${ip}
  - regex: \${ip} is up$
`;
    expect(await runScript(script, '--tty', dut.ttyPath)).toEqual(passed);
    expect(dut.heard()).toBe('root\nwrong\nroot\nright\nping 10.0.0.1\n');
  });

  test('goes round until something leads out, and no more often than it may', async () => {
    let rounds = 0;
    const dut = place.newDut(chunking).on('next\n', (board) => board.say(`round ${++rounds}.\r\n`));
    const script = (limit: number): string => `
steps:
  - loop:
      limit: ${limit}
      steps:
        - line: next
        - choices:
            - expect: round 3.
              goto: leave
            - regex: '^round \\d\\.$'
              goto: next
  - send: done
`;
    expect(await runScript(script(3), '--tty', dut.ttyPath)).toEqual(passed);
    expect(dut.heard()).toBe('next\nnext\nnext\ndone');
    const ended = await runScript(script(2), '--tty', dut.ttyPath);
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toBe(
      `sai-expect: ${dut.ttyPath}: loop (test.yaml:3) came by 2 times, its limit; last lines:`,
    );
  });
});

test('a repeat is done as often as it says, also within another one', async () => {
  const dut = place.newDut();
  const script = `
steps:
  - repeat:
      times: 2
      steps:
        - send: a
        - repeat: {times: 3, steps: [{send: b}]}
`;
  expect(await runScript(script, '--tty', dut.ttyPath)).toEqual(passed);
  expect(dut.heard()).toBe('abbbabbb');
});

test('a step that has no answer in its own time fails, with its place in the file', async () => {
  const dut = place.newDut();
  dut.say('booting');
  const ended = await runScript("steps:\n  - expect: 'login: '\n    within: 100ms\n", '--tty', dut.ttyPath);
  expect(ended).toMatchObject({
    status: 1,
    stderr: [
      `sai-expect: ${dut.ttyPath}: expected "login: " (test.yaml:2) within 100 ms; last lines:`,
      'sai-expect:   | booting',
    ],
  });
  expect(place.findings).toMatchObject([{ step: 'expect "login: " (test.yaml:2)' }]);
});

test('choices none of which comes in time fail', async () => {
  const dut = place.newDut();
  const script = 'steps:\n  - choices: [{expect: a, goto: end}, {regex: b+, goto: next}]\n    within: 50ms\n';
  const ended = await runScript(script, '--tty', dut.ttyPath);
  expect(ended).toMatchObject({
    status: 1,
    stderr: [`sai-expect: ${dut.ttyPath}: expected "a" or /b+/ (test.yaml:2) within 50 ms; nothing arrived`],
  });
});

test('a fail step gives its reason', async () => {
  const dut = place.newDut();
  dut.say('link down\r\n');
  const script =
    'steps:\n  - choices: [{expect: link up, goto: end}, {expect: link down, then: [{fail: no network}]}]\n';
  const ended = await runScript(script, '--tty', dut.ttyPath);
  expect(ended).toMatchObject({
    status: 1,
    stderr: [
      `sai-expect: ${dut.ttyPath}: fail (test.yaml:2) said "no network"; last lines:`,
      'sai-expect:   | link down',
    ],
  });
});

test('rounds that do nothing do not keep the deadline from coming', async () => {
  const dut = place.newDut();
  const round = (steps: string): string => `{loop: {limit: 10000, steps: [${steps}]}}`;
  const script = `pass: [never]\nsteps:\n  - repeat: {times: 10000, steps: [{repeat: {times: 10000, steps: [{goto: on}, {label: on}]}}]}\n  - ${round('fresh')}\n`;
  const ended = await runScript(script, '--tty', dut.ttyPath, '--timeout', '500ms');
  expect(ended.status).toBe(1);
  expect(ended.stderr[0]).toContain('within 500 ms');
});

test('a secret is sent, and not told', async () => {
  const dut = place.newDut().on('geheim\n', 'no\r\n');
  place.set('PASSWORD', 'geheim');
  const script =
    'variables: {password: {env: PASSWORD}}\nsteps:\n  - line: ${password}\n  - expect: ok ${password}\n';
  const ended = await runScript(script, '-v', '--tty', dut.ttyPath, '--timeout', '200ms');
  expect(ended.status).toBe(1);
  expect(dut.heard()).toBe('geheim\n');
  expect(ended.stderr).toContain(`sai-expect: ${dut.ttyPath}: line "\${password}" (test.yaml:3)`);
  expect(JSON.stringify([ended, place.findings])).not.toContain('geheim');
});

describe('what was captured', () => {
  test('may be too little to wait for: the script is to blame', async () => {
    const dut = place.newDut();
    dut.say('name=\r\n');
    const script = 'steps:\n  - regex: ^name=(?<name>\\w*)$\n  - expect: ${name}\n';
    const ended = await runScript(script, '--tty', dut.ttyPath);
    expect(ended).toMatchObject({
      status: 78,
      stderr: [
        'sai-expect: test.yaml:3:5: steps.1.expect: expected at least one byte of text, got none from "${name}"',
      ],
    });
  });

  test('may make a choice that can never be chosen: the script is to blame', async () => {
    const dut = place.newDut();
    dut.say('name=root\r\n');
    const script =
      'steps:\n  - regex: ^name=(?<name>\\w+)$\n  - choices: [{expect: root, goto: end}, {expect: "${name}", goto: next}]\n';
    const ended = await runScript(script, '--tty', dut.ttyPath);
    expect(ended).toMatchObject({
      status: 78,
      stderr: [
        'sai-expect: test.yaml:3:42: steps.1.choices.1: can never be chosen: it is the same as choices.0',
      ],
    });
  });

  test('is sent as the board said it, byte for byte', async () => {
    const dut = place.newDut();
    dut.say(Buffer.from([0x3c, 0xff, 0x00, 0x5c, 0x24, 0x7b, 0x3e, 0x0a]));
    const script = "steps:\n  - regex: '<(?<raw>[^>]+)>'\n  - send: '[${raw}]'\n";
    expect(await runScript(script, '--tty', dut.ttyPath)).toEqual(passed);
    expect(Buffer.from(dut.heard(), 'latin1')).toEqual(
      Buffer.from([0x5b, 0xff, 0x00, 0x5c, 0x24, 0x7b, 0x5d]),
    );
  });
});

test('a script is recorded and replayed as steps of a command line are', async () => {
  const dut = place.newDut().on('version\n', 'v1.2\r\n> ');
  const script =
    'steps:\n  - line: version\n  - choices: [{regex: "^v(?<v>[\\\\d.]+)$", goto: next}]\n  - expect: "> "\n    within: 5s\n';
  expect(await runScript(script, '--tty', dut.ttyPath, '--record', 'a.rec')).toEqual(passed);
  expect(await place.run('--script', 'test.yaml', '--replay', 'a.rec')).toMatchObject({ status: 0 });
  const other = script.replace('> ', 'never');
  const ended = await runScript(other, '--replay', 'a.rec');
  expect(ended.status).toBe(1);
  expect(ended.stderr.join()).toContain('expected "never" (test.yaml:4)');
});

test('a pass text counts from where no fresh step can come any more', async () => {
  const dut = place.newDut().on('go', 'PASS');
  dut.say('PASS # ');
  const script = `
pass: [PASS]
steps:
  - choices:
      - expect: '# '
        goto: next
      - expect: '> '
        then: [fresh]
  - send: go
  - expect: never
`;
  expect(await runScript(script, '--tty', dut.ttyPath)).toEqual(passed);
  expect(dut.heard()).toBe('go');
});

test('what a file says about the whole holds, and flags win', async () => {
  const dut = place.newDut();
  dut.say('\x1b[1mready\x1b[0m\r\n');
  const script =
    'ignoreAnsi: true\neol: crlf\ntimeout: 100ms\nsteps:\n  - regex: ^ready$\n  - line: a\n  - expect: b\n';
  writeFileSync(join(place.folder, 'whole.yaml'), script);
  const ended = await place.run('--script', 'whole.yaml', '--tty', dut.ttyPath);
  expect(ended.stderr[0]).toContain('expected "b" (whole.yaml:7) within 100 ms');
  dut.say('ready\r\n');
  await place.run('--script', 'whole.yaml', '--tty', dut.ttyPath, '--eol', 'cr', '--timeout', '200ms');
  expect(dut.heard()).toBe('a\r\na\r');
});

describe('on several ttys', () => {
  const both = `
steps:
  - parallel:
      0:
        - line: a
        - regex: '^a is (?<a>\\w+)$'
      1:
        - line: b
        - regex: '^b is (?<b>\\w+)$'
  - line: \${a} \${b}
  - expect: both
`;

  test('steps are done at the same time, and what follows waits for all', async () => {
    const [one, two] = [place.newDut(), place.newDut()];
    // Each answers when the other one has been asked.
    one.on('a\n', () => two.say('b is beta\r\n'));
    two.on('b\n', () => one.say('a is alpha\r\n'));
    one.on('alpha beta\n', 'both');
    place.lease(one.ttyPath, two.ttyPath);
    expect(await runScript(both)).toEqual(passed);
    expect([one.heard(), two.heard()]).toEqual(['a\nalpha beta\n', 'b\n']);
  });

  test('the first failure ends all, and is told with its tty', async () => {
    const [one, two] = [place.newDut(), place.newDut()];
    two.on('b\n', (board) => board.say('Kernel panic - not syncing: oh\r\n'));
    place.lease(one.ttyPath, two.ttyPath);
    const ended = await runScript(both);
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toBe(
      `sai-expect: tty1 (${two.ttyPath}): the board crashed (linux): "Kernel panic - not syncing: oh" while waiting for /^b is (?<b>\\w+)$/ (test.yaml:9); last lines:`,
    );
    expect(place.findings).toMatchObject([{ tty: `tty1 (${two.ttyPath})` }]);
  });

  test.each([
    ['the first', 1, 'b is beta\r\n', /tty0 .*expected \/\^a is/],
    ['the second', 0, 'a is alpha\r\n', /tty1 .*expected \/\^b is/],
  ])(
    'when time is up, %s tells that it is the one that lacks an answer',
    async (_what, index, answer, told) => {
      const boards = [place.newDut(), place.newDut()];
      boards[index]?.on(index === 0 ? 'a\n' : 'b\n', answer);
      place.lease(...boards.map(({ ttyPath }) => ttyPath));
      const ended = await runScript(both, '--timeout', '700ms');
      expect(ended.status).toBe(1);
      expect(ended.stderr[0]).toMatch(told);
      expect(place.findings).toHaveLength(1);
    },
  );

  test('both failing at once are one failure, with one finding', async () => {
    const [one, two] = [place.newDut(), place.newDut()];
    one.on('a\n', (board) => board.say('Kernel panic - not syncing: one\r\n'));
    two.on('b\n', (board) => board.say('Kernel panic - not syncing: two\r\n'));
    place.lease(one.ttyPath, two.ttyPath);
    const ended = await runScript(both);
    expect(ended.status).toBe(1);
    expect(ended.stderr.filter((line) => line.includes('the board crashed'))).toHaveLength(1);
    expect(place.findings).toHaveLength(1);
  });

  test('what is left unread is kept for each', async () => {
    const [one, two] = [place.newDut(), place.newDut()];
    one.on('a\n', 'a is x\r\nrest of one').on('x y\n', 'both');
    two.on('b\n', 'b is y\r\nrest of two');
    place.lease(one.ttyPath, two.ttyPath);
    expect(await runScript(both)).toEqual(passed);
    expect(await place.run('--tty', '1', '--expect', 'rest of two', '--timeout', '5s')).toEqual(passed);
  });

  test('a stop ends all with 128 + its number', async () => {
    const [one, two] = [place.newDut(), place.newDut()];
    place.lease(one.ttyPath, two.ttyPath);
    writeFileSync(join(place.folder, 'test.yaml'), both);
    const started = place.start(['--script', 'test.yaml', '-v']);
    two.on('b\n', () => started.child.kill('SIGTERM'));
    expect(await started.ended).toMatchObject({ status: 143 });
    expect(place.leftovers()).toEqual([]);
  });

  test('what comes on a tty whose steps are over is told so, and on the main one with what goes on', async () => {
    const [one, two] = [place.newDut(), place.newDut()];
    one.on('a\n', () => two.say('bad\r\n'));
    place.lease(one.ttyPath, two.ttyPath);
    const failing = (...steps: string[]): string => ['fail: [bad]', 'steps:', ...steps, ''].join('\n');
    const ended = await runScript(
      failing('- parallel: {1: [pause: 0s], 0: [pause: 300ms, line: a, expect: never]}'),
    );
    expect(ended.stderr[0]).toBe(
      `sai-expect: tty1 (${two.ttyPath}): the board said "bad", a fail text, after its steps, while the other ttys go on; last lines:`,
    );
    two.on('b\n', () => one.say('bad\r\n'));
    const other = await runScript(failing('- parallel: {1: [line: b, expect: never]}'));
    expect(other.stderr[0]).toBe(
      `sai-expect: tty0 (${one.ttyPath}): the board said "bad", a fail text, during parallel steps on 1 (test.yaml:3); last lines:`,
    );
  });

  test('a crash on a tty that does nothing just then ends all', async () => {
    const [one, two] = [place.newDut(), place.newDut()];
    one.on('x', () => two.say('Kernel panic - not syncing: oh\r\n'));
    place.lease(one.ttyPath, two.ttyPath);
    const ended = await runScript('steps:\n  - send: x\n  - expect: never\n  - parallel: {1: [{send: y}]}\n');
    expect(ended.stderr[0]).toContain('tty1');
    expect(ended.stderr[0]).toContain('the board crashed (linux)');
  });

  test('a tty that goes away ends all with 74', async () => {
    const [one, two] = [place.newDut(), place.newDut()];
    two.on('b\n', (board) => board.unplug());
    place.lease(one.ttyPath, two.ttyPath);
    const ended = await runScript(both);
    expect(ended.status).toBe(74);
    expect(ended.stderr[0]).toContain(`tty1 (${two.ttyPath})`);
  });

  test('a tty that there is not, or that is named twice, is refused before any is touched', async () => {
    const one = place.newDut();
    place.lease(one.ttyPath);
    expect(await runScript('steps:\n  - send: x\n  - parallel: {7: [{send: y}]}\n')).toMatchObject({
      status: 64,
      stderr: [expect.stringContaining('--tty 7: expected one of 0, shell, or a path')],
    });
    expect(
      await runScript('steps:\n  - send: x\n  - parallel: {0: [{send: y}], shell: [{send: y}]}\n'),
    ).toMatchObject({
      status: 78,
      stderr: [
        'sai-expect: parallel steps on 0, shell (test.yaml:3): expected each tty once, 0 and shell are the same',
      ],
    });
    expect(one.heard()).toBe('');
  });
});

describe('without a tty', () => {
  test('--dry-run tells what would be done', async () => {
    const script = `
about: Logs in
variables: {user: root, password: {env: PASSWORD}}
fail: [panic]
steps:
  - expect: 'login: '
  - parallel: {0: [{line: "\${user}"}], 1: [fresh]}
  - regex: '(?<ip>[\\d.]+)'
  - line: ping \${ip}
`;
    const ended = await runScript(script, '--dry-run', '--var', 'user=me');
    expect(ended).toMatchObject({ status: 0, stderr: [] });
    expect(ended.stdout.split('\n')).toEqual([
      'test.yaml: Logs in',
      '  user: "me"',
      '  password: from $PASSWORD (not set)',
      '  1. wait for "login: "',
      '  2. at the same time, the first failure ends all:',
      '     on tty 0:',
      '       1. line "${user}"',
      '     on tty 1:',
      '       1. let go of all that has arrived: only what comes from now on counts',
      '  3. wait for /(?<ip>[\\d.]+)/',
      '  4. line "ping ${ip}" (${ip} as captured by then)',
      'fail as soon as "panic" comes',
      'fail as soon as the board has crashed',
      'all of it within 10 s',
      '',
    ]);
  });

  test('--dry-run tells what else decides', async () => {
    const besides = async (...args: string[]): Promise<string[]> => {
      const ended = await runScript('steps: [fresh]\ncrash: [linux, go]\n', '--dry-run', ...args);
      return ended.stdout.split('\n').slice(2, -2);
    };
    expect(await besides()).toEqual(['fail as soon as the board has crashed (linux, go)']);
    expect(await besides('--crash', 'none')).toEqual([]);
    expect(await besides('--expect-crash', 'linux')).toEqual([
      'pass as soon as the board has crashed (linux), and not without',
    ]);
    expect(await besides('--crash', 'auto', '--results', 'tap', '--settle', '2s')).toEqual([
      'fail as soon as the board has crashed',
      'judge by the test results (tap)',
      'watch for what fails 2 s longer',
    ]);
  });

  test('a crash that is wanted, and a pass text of the file, are refused together', async () => {
    const ended = await runScript('steps: [fresh]\npass: [ok]\n', '--expect-crash');
    expect(ended).toMatchObject({
      status: 64,
      stderr: [
        'sai-expect: --expect-crash: expected no pass text, which says what else is a pass, test.yaml has one; leave it out',
      ],
    });
  });

  test('--list-profiles lists them', async () => {
    const ended = await place.run('--list-profiles');
    expect(ended).toMatchObject({ status: 0, stderr: [] });
    expect(ended.stdout.split('\n').map((line) => line.split(' ')[0])).toEqual([
      '@esp-idf-boot',
      '@linux-login',
      '@micropython-raw-repl',
      '@u-boot-stop',
      '',
    ]);
  });

  test.each([
    [
      ['--script', 'a.yaml', '--send', 'x'],
      64,
      '--script: expected no steps on the command line, got --send; write it into the script',
    ],
    [
      ['--list-profiles', '--dry-run'],
      64,
      '--list-profiles: expected it alone, got --dry-run; name one with --script @NAME',
    ],
    [['--var', 'a=b'], 64, '--var: expected a --script that it is for, got none'],
    [['--dry-run', '--send', 'x'], 64, '--dry-run: expected a --script that it is for, got none'],
    [['--script', 'gone.yaml'], 78, 'gone.yaml: expected a file, found none'],
    [
      ['--script', '@u-bot-stop'],
      64,
      '@u-bot-stop: expected one of @esp-idf-boot, @linux-login, @micropython-raw-repl, @u-boot-stop, found no such profile (did you mean "u-boot-stop"?)',
    ],
  ])('%j is refused', async (args, status, said) => {
    expect(await place.run(...args)).toMatchObject({ status, stderr: [`sai-expect: ${said}`] });
  });

  test('a script that is wrong is refused before a tty is looked for', async () => {
    expect(await runScript('steps:\n  - expct: a\n')).toMatchObject({
      status: 78,
      stderr: [expect.stringMatching(/^sai-expect: test\.yaml:2:5: steps\.0: .*did you mean "expect"/)],
    });
    expect(await runScript('steps:\n  - expect: 3\n  - send: 4\ncrash: u-boot\n')).toMatchObject({
      status: 78,
      stderr: [
        'sai-expect: test.yaml:2:5: steps.0.expect: expected a text in quotes, got 3',
        'sai-expect: test.yaml:3:5: steps.1.send: expected a text in quotes, got 4',
      ],
    });
  });
});
