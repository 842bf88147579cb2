import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CHUNKINGS, type DutOnPty } from '../peers/dut-on-pty.ts';
import { type Workplace, workplaceOfTest } from '../peers/expect-command.ts';
import { NO_SMALL_DISK, smallDisk } from '../peers/small-disk.ts';
import { SAMPLES } from '../results/samples.ts';
import { until } from '../until.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
});

const PASSING = 'a.c:1:test_led:PASS\r\na.c:2:test_clock:PASS\r\n2 Tests 0 Failures 0 Ignored \r\nOK\r\n';

/** How long each took is nobody's to foresee. */
const junit = (): string =>
  readFileSync(join(place.folder, 'r.xml'), 'utf8').replaceAll(/ time="[\d.]+"/g, '');
const events = (): Record<string, unknown>[] =>
  readFileSync(join(place.folder, 'r.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const FILES = ['--junit', 'r.xml', '--results-json', 'r.jsonl'];

describe.each(CHUNKINGS)('a board that tests itself in %s', (chunking) => {
  beforeEach(() => {
    dut = place.newDut(chunking);
  });

  test('passes when all its tests do, and the files say so', async () => {
    dut.on('selftest\n', PASSING);
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'selftest', ...FILES);
    expect(ended).toEqual({
      status: 0,
      signal: null,
      stdout: '',
      stderr: [
        'sai-expect: results (unity): 2 pass, 0 fail',
        'sai-expect:   pass    test_led',
        'sai-expect:   pass    test_clock',
      ],
    });
    expect(junit()).toBe(
      [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<testsuites>',
        '<testsuite name="board" tests="2" failures="0" errors="0" skipped="0">',
        '<testcase classname="board" name="test_led" file="a.c" line="1"/>',
        '<testcase classname="board" name="test_clock" file="a.c" line="2"/>',
        '</testsuite>',
        '</testsuites>',
        '',
      ].join('\n'),
    );
    expect(events()).toMatchObject([
      { event: 'test', name: 'test_led', status: 'pass' },
      { event: 'test', name: 'test_clock', status: 'pass' },
      { event: 'end', format: 'unity', verdict: 'pass', tests: 2, passed: 2 },
    ]);
    expect(readdirSync(place.folder).sort()).toEqual(['r.jsonl', 'r.xml', 'run']);
  });

  test.each(SAMPLES)('fails when one of them does: $format', async ({ format, text }) => {
    dut.on('selftest\n', `${text}\r\n`);
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'selftest', '--results', format);
    expect(ended.status).toBe(1);
    expect(ended.stderr.some((line) => /: [12] of \d tests did not pass: /.test(line))).toBe(true);
    expect(place.findings).toMatchObject([{ verdict: 'fail', blame: 'verdict' }]);
  });

  test('fails when a planned test does not come', async () => {
    dut.on('selftest\n', PASSING.replace('a.c:1:test_led:PASS\r\n', ''));
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'selftest', '--results', 'auto');
    expect(ended.status).toBe(1);
    expect(ended.stderr.at(0)).toContain('results (unity): 1 pass, 0 fail');
    expect(ended.stderr.join('\n')).toContain('2 tests were planned, 1 have a result');
  });

  test('fails when it says nothing of tests, though a pass text came', async () => {
    dut.on('selftest\n', 'done\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'selftest', '--results', 'tap', '--pass', 'done'],
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr.join('\n')).toContain('no test results came (looked for tap)');
  });

  test('that crashes has the test that was running blamed, and keeps the results before', async () => {
    dut.on('selftest\n', 'TAP version 13\r\n1..2\r\nok 1 - led\r\n*** PANIC: overflow\r\n');
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'selftest', ...FILES);
    expect(ended.status).toBe(1);
    expect(junit()).toContain('<testcase classname="board" name="led"/>');
    expect(junit()).toContain('the board crashed (sai-uno): &quot;*** PANIC: overflow&quot;');
    expect(events().at(-1)).toMatchObject({ event: 'end', verdict: 'fail', passed: 1 });
  });

  test('that falls silent keeps the results before', async () => {
    dut.on('selftest\n', 'START - x\r\nRunning TESTSUITE s\r\nSTART - test_a\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'selftest', '--timeout', '400ms', ...FILES],
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain(
      `sai-expect:   MISSING s.test_a  ${dut.ttyPath}: expected the tests to end within 400 ms`,
    );
    expect(junit()).toContain('name="test_a"><error message=');
  });
});

test('results that a killed sai-expect has seen are in valid files that do not pass', async () => {
  dut = place.newDut();
  dut.on('selftest\n', '1..2\r\nok 1 - led\r\n');
  const started = place.start(['--tty', dut.ttyPath, '--line', 'selftest', ...FILES]);
  await until(
    () => existsSync(join(place.folder, 'r.jsonl')) && events().length > 0,
    'the first result is in the file',
  );
  started.child.kill('SIGKILL');
  await started.ended;
  expect(events()).toMatchObject([{ event: 'test', name: 'led', status: 'pass' }]);
  expect(junit()).toBe(
    [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<testsuites>',
      '<testsuite name="board">',
      '<testcase classname="board" name="led"/>',
      '<testcase classname="sai-expect" name="the run"><error message="the run has not ended, or was killed before it could" type="run"/></testcase>',
      '</testsuite>',
      '</testsuites>',
      '',
    ].join('\n'),
  );
  for (const name of readdirSync(place.runDir)) expect(name).toMatch(/^sai-console-/);
  place.clear();
});

test('a stale result that had arrived before a fresh step is none', async () => {
  dut = place.newDut();
  dut.say('old.c:1:test_old:FAIL: stale\r\n');
  dut.on('selftest\n', PASSING);
  const ended = await place.run(
    ...['--tty', dut.ttyPath, '--fresh', '--line', 'selftest', '--results', 'unity'],
  );
  expect(ended.status).toBe(0);
});

test('what is no file is refused before the board is touched', async () => {
  dut = place.newDut();
  mkdirSync(join(place.folder, 'folder'));
  const ended = await place.run('--tty', dut.ttyPath, '--line', 'x', '--junit', 'folder');
  expect(ended).toMatchObject({
    status: 64,
    stderr: ['sai-expect: --junit folder: expected a file or a free name, found something else'],
  });
  expect(dut.heard()).toBe('');
});

test('a full disk is told, and hides no verdict', async (context) => {
  context.skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
  const disk = smallDisk(8192);
  dut = place.newDut();
  dut.on('selftest\n', PASSING);
  const args = ['--tty', dut.ttyPath, '--line', 'selftest'];
  writeFileSync(join(disk, 'filler'), Buffer.alloc(4096));
  const files = ['--results-json', join(disk, 'r.jsonl'), '--record', join(disk, 'x.rec')];
  const ended = await place.run(...args, ...files);
  expect(ended.status).toBe(69);
  expect(ended.stderr.join('\n')).toMatch(/r\.jsonl: cannot be written: ENOSPC/);
  expect(place.findings.map(({ verdict }) => verdict)).toContain('infra');
});

test('a tty that cannot be opened is in the files as well', async () => {
  dut = place.newDut();
  const ended = await place.run('--tty', '/dev/nonexistent', '--line', 'x', ...FILES);
  expect(ended.status).toBe(74);
  expect(junit()).toContain('/dev/nonexistent');
  expect(events().at(-1)).toMatchObject({ event: 'end', verdict: 'infra' });
});

test('that it was told to stop is in the files as well', async () => {
  dut = place.newDut();
  dut.on('selftest\n', '1..2\r\nok 1 - led\r\n');
  const started = place.start(['--tty', dut.ttyPath, '--line', 'selftest', ...FILES]);
  await until(
    () => existsSync(join(place.folder, 'r.jsonl')) && events().length > 0,
    'the first result is in the file',
  );
  started.child.kill('SIGTERM');
  expect((await started.ended).status).toBe(128 + 15);
  expect(events().at(-1)).toMatchObject({ event: 'end', verdict: 'cancelled', passed: 1 });
  expect(junit()).toContain('told to stop by SIGTERM');
});
