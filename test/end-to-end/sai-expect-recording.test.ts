import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CHUNKINGS, DutOnPty } from '../peers/dut-on-pty.ts';
import { type Ended, Workplace, workplaceOfTest } from '../peers/expect-command.ts';
import { runCommand, startLab } from '../peers/running-lab.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { until } from '../until.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
  dut = place.newDut();
});

const recording = (): string => join(place.folder, 'x.rec');
const linesOf = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** The same steps with the board, recorded, and with the recording. */
async function bothWays(...args: readonly string[]): Promise<{ live: Ended; replayed: Ended }> {
  const live = await place.run('--tty', dut.ttyPath, ...args, '--record', recording());
  const replayed = await place.run('--tty', dut.ttyPath, ...args, '--replay', recording());
  return { live, replayed };
}

describe.each(CHUNKINGS)('what a board said in %s', (chunking) => {
  beforeEach(() => {
    dut = place.newDut(chunking);
  });

  test('is recorded both ways, and passes again', async () => {
    dut.say('boot\r\n> ');
    dut.on('version\n', '\r\nsai 1.2.3\r\n> ');
    const args = [
      '--expect',
      '> ',
      '--pause',
      '20ms',
      '--line',
      'version',
      '--regex',
      '^sai \\d+',
      '--regex',
      '^> $',
    ];
    const { live, replayed } = await bothWays(...args);
    expect(live).toMatchObject({ status: 0, stderr: [] });
    expect(replayed).toEqual(live);
    const [head, ...entries] = linesOf(recording());
    expect(head).toMatchObject({ format: 'sai-recording', version: 1, ttys: [{ path: dut.ttyPath }] });
    const heard = entries.filter(({ is }) => is === 'in').map(({ text }) => text);
    expect(heard.join('')).toBe('boot\r\n> \r\nsai 1.2.3\r\n> ');
    expect(entries.filter(({ is }) => is === 'out')).toMatchObject([{ tty: 0, text: 'version\n' }]);
    expect(entries.at(-1)).toMatchObject({ is: 'end', verdict: 'pass' });
  });

  test.each([
    ['silence', ['--line', 'go', '--expect', 'never', '--timeout', '500ms']],
    ['a crash', ['--line', 'panic', '--expect', 'never', '--timeout', '20s']],
    ['a fail text', ['--line', 'go', '--pass', 'x', '--fail', 'bad']],
    ['failed tests', ['--fresh', '--line', 'tests', '--results', 'tap']],
    ['a settling crash', ['--line', 'late', '--expect', 'ok', '--settle', '5s']],
  ])('gives the same evidence of %s', async (_name, args) => {
    dut.say('old\r\n');
    dut.on('go\n', 'so bad\xff\xfe\r\n\xc3\xa4');
    dut.on('panic\n', '*** PANIC: overflow\r\n');
    dut.on('tests\n', 'TAP version 13\r\n1..2\r\nok 1 - a\r\nnot ok 2 - b\r\n');
    dut.on('late\n', (board) => {
      board.say('ok\r\n');
      setTimeout(() => board.say('*** PANIC: late\r\n'), 150);
    });
    const { live, replayed } = await bothWays(...args);
    expect(live.status).toBe(1);
    expect(replayed).toEqual(live);
    // The lines that stderr announces are in the recording itself.
    expect(linesOf(recording()).at(-1)).toMatchObject({
      is: 'end',
      error: expect.not.stringMatching(/last lines:$/) as string,
    });
  });
});

test('a time-out of minutes is replayed in no time', async () => {
  const head = {
    format: 'sai-recording',
    version: 1,
    startedAtMs: 0,
    ttys: [{ label: 't', path: 't', baudRate: 1 }],
  };
  const at = (ms: number, text: string): object => ({ ms, tty: 0, is: 'in', text });
  const lines = [head, at(1, 'a'), at(3_000_000, 'b')];
  writeFileSync(recording(), `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`);
  expect(await place.run('--replay', recording(), '--expect', 'ab', '--timeout', '1h')).toMatchObject({
    status: 0,
  });
  expect(await place.run('--replay', recording(), '--expect', 'ab', '--timeout', '10m')).toMatchObject({
    status: 1,
    stderr: [
      'sai-expect: t: expected "ab" within 10 min, the board silent for 10 min; last lines:',
      'sai-expect:   | a',
    ],
  });
  const endless = await place.run('--replay', recording(), '--expect', 'c', '--timeout', 'never');
  expect(endless.status).toBe(1);
});

test('what the steps send otherwise is said', async () => {
  dut.on('version\n', 'sai 1.2.3\r\n');
  dut.on('bye\n', 'ok\r\n');
  const steps = (line: string): string[] => [
    '--line',
    line,
    '--expect',
    'sai',
    '--line',
    'bye',
    '--expect',
    'ok',
  ];
  await place.run('--tty', dut.ttyPath, ...steps('version'), '--record', recording());
  const other = await place.run('--replay', recording(), ...steps('verison'));
  expect(other).toMatchObject({
    status: 0,
    stderr: [`sai-expect: replay: ${dut.ttyPath}: sends "verison\\n" where the recording has "version\\n"`],
  });
  const fewer = await place.run('--replay', recording(), '--expect', 'sai', '--expect', 'ok');
  expect(fewer.status).toBe(0);
  expect(fewer.stderr[0]).toContain('does not send "version\\n", as the recording does');
});

test('a tty that goes away is gone again', async () => {
  dut.on('go\n', (board) => board.unplug());
  const { live, replayed } = await bothWays('--line', 'go', '--expect', 'never');
  expect(live.status).toBe(74);
  expect(replayed).toEqual(live);
});

test('what a lease had kept comes first again', async () => {
  place.lease(dut.ttyPath);
  dut.say('one two');
  expect((await place.run('--expect', 'one')).status).toBe(0);
  const args = ['--expect', ' two', '--timeout', '5s'];
  expect((await place.run(...args, '--record', recording())).status).toBe(0);
  expect(linesOf(recording())).toContainEqual(expect.objectContaining({ is: 'early', text: ' two' }));
  expect((await place.run(...args, '--replay', recording())).status).toBe(0);
});

test('a self test on a virtual Uno that a jig has reset is replayed without either', async () => {
  const lab = await startLab('held by a jig');
  const path = join(lab.folder, 'uno.rec');
  // A recording has its times in milliseconds, so that a replayed result may be one later.
  const xml = (name: string): string =>
    readFileSync(join(lab.folder, name), 'utf8').replace(/ time="[\d.]+"/g, '');
  const steps = ['--jig', 'reset', '--regex', '^> $', '--line', 'selftest broken', '--results', 'auto'];
  const live = await runCommand(
    'sai-device',
    ['--quiet', 'uno', 'sai-expect', '--record', path, '--junit', join(lab.folder, 'a.xml'), ...steps],
    lab,
  );
  const replayed = await runCommand(
    'sai-expect',
    ['--replay', path, '--junit', join(lab.folder, 'b.xml'), ...steps],
    lab,
  );
  expect(live.status, live.stderr).toBe(1);
  expect(live.stderr).toContain('results (unity): 4 pass, 1 fail');
  const said = (stderr: string): string[] =>
    stderr.split('\n').filter((line) => line.startsWith('sai-expect:'));
  expect(said(replayed.stderr)).toEqual(said(live.stderr));
  expect(replayed.status).toBe(1);
  expect(xml('b.xml')).toBe(xml('a.xml'));
  const jigs = linesOf(path).filter(({ is }) => is === 'jig');
  expect(jigs).toMatchObject([
    { sequence: 'reset', event: 'begin' },
    { sequence: 'reset', event: 'end' },
  ]);
});

test('a recording is readable whenever its writer is killed, up to its last whole line', async () => {
  const started = place.start(['--tty', dut.ttyPath, '--record', recording(), '--expect', 'never']);
  await until(
    () => existsSync(recording()) && readFileSync(recording()).length > 0,
    'the recording has begun',
  );
  dut.say('one\r\n');
  await until(() => readFileSync(recording(), 'utf8').includes('one'), 'the first bytes are recorded');
  started.child.kill('SIGKILL');
  await started.ended;
  place.clear();
  expect((await place.run('--replay', recording(), '--expect', 'one')).status).toBe(0);
  truncateSync(recording(), readFileSync(recording()).length - 3);
  const cut = await place.run('--replay', recording(), '--expect', 'one', '--timeout', '1s');
  expect(cut.status).toBe(1);
  expect(cut.stderr[0]).toContain('the last line of the recording is cut; its writer was killed');
});

test('both ttys of a session without steps are in one recording', async () => {
  const other = place.newDut();
  place.lease(dut.ttyPath, other.ttyPath);
  dut.say('booting\r\n');
  const started = place.start(['--record', recording()]);
  await until(
    () => existsSync(recording()) && readFileSync(recording(), 'utf8').includes('booting'),
    'the first tty is recorded',
  );
  other.say('Completed: PASS\r\n');
  expect((await started.ended).status).toBe(0);
  expect(linesOf(recording()).filter(({ is }) => is === 'in')).toMatchObject([
    { tty: 0, text: 'booting\r\n' },
    { tty: 1, text: 'Completed: PASS\r\n' },
  ]);
  expect(await place.run('--replay', recording())).toMatchObject({ status: 0, stderr: [] });
});

describe('a script with parallel ttys', () => {
  const script = (): string => {
    const path = join(place.folder, 'both.json');
    const steps = [
      {
        parallel: {
          shell: [{ line: 'a' }, { regex: '^a is (?<a>\\w+)$' }],
          1: [{ line: 'b' }, { regex: '^b is (?<b>\\w+)$' }],
        },
      },
      // biome-ignore lint/suspicious/noTemplateCurlyInString: scripts have variables of that form
      { line: '${a} ${b}' },
      { expect: 'both' },
    ];
    writeFileSync(path, JSON.stringify({ steps, timeout: '3s' }));
    return path;
  };

  test.each([
    ['passes', 0, 'b is beta\r\n'],
    ['crashes on the second', 1, 'Kernel panic - not syncing: oh\r\n'],
    ['lacks an answer of the second', 1, 'b was beta\r\n'],
  ])('that %s does so again from its recording, without a lease', async (_what, status, answer) => {
    await using other = new DutOnPty();
    // Each answers when the other one has been asked.
    dut.on('a\n', () => other.say(answer)).on('alpha beta\n', 'both');
    other.on('b\n', () => dut.say('a is alpha\r\n'));
    place.lease(dut.ttyPath, other.ttyPath);
    const live = await place.run('--script', script(), '--record', recording());
    expect(live.status, live.stderr.join('\n')).toBe(status);
    expect(linesOf(recording())[0]).toMatchObject({ ttys: [{ names: ['0', 'shell'] }, { names: ['1'] }] });
    await using elsewhere = new Workplace();
    const replayed = await elsewhere.run('--script', script(), '--replay', recording());
    expect(replayed).toEqual(live);
    expect(elsewhere.findings.map(({ tty }) => tty)).toEqual(place.findings.map(({ tty }) => tty));
  });

  test('is refused where the recording lacks one of its ttys', async () => {
    dut.on('a\n', 'a is alpha\r\n');
    await place.run('--tty', dut.ttyPath, '--line', 'a', '--expect', 'alpha', '--record', recording());
    expect(await place.run('--script', script(), '--replay', recording())).toMatchObject({
      status: 64,
      stderr: [
        `sai-expect: --replay: the tty 1 of parallel steps: expected one of the recording, ${dut.ttyPath}, found none of that name`,
      ],
    });
  });
});

test('steps are for the one tty that is asked for, of several in a recording', async () => {
  const tty = (index: number): object => ({
    label: `t${index}`,
    path: `/dev/t${index}`,
    baudRate: 1,
    names: [`${index}`],
  });
  const said = (index: number): object => ({ ms: 1, tty: index, is: 'in', text: `I am ${index}\n` });
  const head = { format: 'sai-recording', version: 1, startedAtMs: 0, ttys: [tty(0), tty(1)] };
  const lines = [head, said(0), { ms: 1, tty: 0, is: 'out', text: 'x' }, said(1)];
  writeFileSync(recording(), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const steps = ['--replay', recording(), '--timeout', '1s', '--expect'];
  expect(await place.run(...steps, 'I am 1', '--tty', '1')).toMatchObject({ status: 0, stderr: [] });
  expect(await place.run(...steps, 'I am 1', '--tty', '/dev/t1')).toMatchObject({ status: 0, stderr: [] });
  expect((await place.run(...steps, 'I am 1')).status).toBe(1);
  expect((await place.run(...steps, 'I am 1', '--tty', '2')).status).toBe(64);
});

test('a step has its own time from when the tty was opened, also where its turn was waited for', async () => {
  const head = {
    format: 'sai-recording',
    version: 1,
    startedAtMs: 0,
    ttys: [{ label: 't', path: 't', baudRate: 1 }],
  };
  const lines = [head, { ms: 9000, tty: 0, is: 'open' }, { ms: 9500, tty: 0, is: 'in', text: 'ready' }];
  writeFileSync(recording(), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const script = join(place.folder, 's.json');
  writeFileSync(script, JSON.stringify({ steps: [{ expect: 'ready', within: '1s' }] }));
  const steps = ['--script', script, '--replay', recording()];
  expect(await place.run(...steps)).toMatchObject({ status: 0, stderr: [] });
  expect((await place.run(...steps, '--timeout', '5s')).status).toBe(1);
});

test('a break is recorded, and takes its time again', async () => {
  dut.on('x', 'ready');
  const { live, replayed } = await bothWays('--break', '20ms', '--send', 'x', '--expect', 'ready');
  expect(live).toMatchObject({ status: 0, stderr: [] });
  expect(replayed).toEqual(live);
  expect(linesOf(recording())).toContainEqual(
    expect.objectContaining({ tty: 0, is: 'line', what: 'break 20 ms' }),
  );
  const without = await place.run('--replay', recording(), '--send', 'x', '--expect', 'ready');
  expect(without).toMatchObject({
    status: 0,
    stderr: [`sai-expect: replay: ${dut.ttyPath}: does not do break 20 ms, as the recording does`],
  });
});

test('a line that cannot be driven is recorded, and cannot again', async () => {
  const { live, replayed } = await bothWays('--dtr', 'on', '--expect', 'ready');
  expect(live.status).toBe(74);
  expect(replayed).toEqual(live);
  expect(linesOf(recording())).toContainEqual(
    expect.objectContaining({
      is: 'line',
      what: 'dtr on',
      blame: 'hardware',
      error: expect.stringContaining('DTR'),
    }),
  );
});

test('what a jig did not do fails again, with the same blame', async () => {
  place.lease(dut.ttyPath);
  place.set('SAI_DEVICE_JIG', 'http://127.0.0.1:9/uno');
  const { live, replayed } = await bothWays('--jig', 'reset', '--expect', 'ready');
  expect(live.status).toBe(69);
  expect(replayed).toEqual(live);
  expect(linesOf(recording())).toContainEqual(
    expect.objectContaining({ is: 'jig', event: 'end', blame: 'unavailable' }),
  );
});

test('a recording is printed for asciinema', async () => {
  dut.on('hi\n', '\x1b[1mhä\x1b[0m\r\n');
  await place.run('--tty', dut.ttyPath, '--line', 'hi', '--expect', '\\r\\n', '--record', recording());
  const { status, stdout } = await place.run('--to-cast', recording());
  expect(status).toBe(0);
  const [head, ...events] = Buffer.from(stdout, 'latin1')
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  expect(head).toMatchObject({ version: 2, width: 80, height: 24, title: dut.ttyPath });
  const all = events as [number, string, string][];
  const of = (kind: string): string =>
    all
      .filter(([, is]) => is === kind)
      .map(([, , text]) => text)
      .join('');
  expect(of('i')).toBe('hi\n');
  expect(of('o')).toBe('\x1b[1mhä\x1b[0m\r\n');
  expect(all.every(([at], index) => at >= (all[index - 1]?.[0] ?? 0))).toBe(true);
});

test.each([
  ['nothing', ''],
  ['another file', 'hello\nworld\n'],
  ['JSON of another kind', '{"version":2}\n'],
  ['a newer version', '{"format":"sai-recording","version":2,"startedAtMs":0,"ttys":[]}\n'],
  [
    'a tty that it does not have',
    '{"format":"sai-recording","version":1,"startedAtMs":0,"ttys":[{"label":"t","path":"t","baudRate":1}]}\n{"ms":1,"tty":3,"is":"in","text":"x"}\n',
  ],
])('%s is no recording: one line, status 64', async (_name, text) => {
  writeFileSync(recording(), text);
  for (const flag of ['--replay', '--to-cast']) {
    const ended = await place.run(flag, recording(), '--expect', 'x');
    expect(ended.status).toBe(64);
    expect(ended.stderr).toHaveLength(1);
  }
});

test('random garbage is no recording either', async () => {
  const { pick } = seededRandom();
  const bytes = Array.from({ length: 256 }, (_, index) => index);
  for (let i = 0; i < 5; i++) {
    writeFileSync(recording(), Buffer.from(Array.from({ length: 300 }, () => pick(bytes))));
    const ended = await place.run('--replay', recording(), '--expect', 'x');
    expect(ended.status).toBe(64);
    expect(ended.stderr).toHaveLength(1);
  }
});

test('a replay is not recorded again', async () => {
  const ended = await place.run('--replay', recording(), '--record', recording(), '--expect', 'x');
  expect(ended.status).toBe(64);
  expect(ended.stderr).toHaveLength(1);
  expect(existsSync(recording())).toBe(false);
});
