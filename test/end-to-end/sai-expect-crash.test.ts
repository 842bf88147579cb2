import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CHUNKINGS, type DutOnPty } from '../peers/dut-on-pty.ts';
import { said, type Workplace, workplaceOfTest } from '../peers/expect-command.ts';
import { ROOT, runCommand } from '../peers/running-lab.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
});

const FIRST = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.";
const DUMP = [
  '',
  'Core  0 register dump:',
  'PC      : 0x400d1234  PS      : 0x00060b30  A0      : 0x800d2c3d  A1      : 0x3ffb5f30  ',
  'EXCVADDR: 0x00000004  LBEG    : 0x400014fd  LEND    : 0x4000150d  LCOUNT  : 0xffffffff  ',
  '',
  'Backtrace: 0x400d1231:0x3ffb5f30 0x400d2c3a:0x3ffb5f50',
  '',
  'Rebooting...',
].join('\r\n');

describe.each(CHUNKINGS)('a board that talks in %s', (chunking) => {
  beforeEach(() => {
    dut = place.newDut(chunking);
  });

  test('and crashes is read to the end of its dump, which tells where', async () => {
    const started = place.start(['--tty', dut.ttyPath, '--line', 'go', '--expect', 'done', '--echo', '-v']);
    await said(started, '--expect "done"');
    await dut.sayAll(`${FIRST}\r\n${DUMP}\r\nets Jun  8 2016 00:22:57\r\n`);
    const ended = await started.ended;
    expect(ended.status).toBe(1);
    expect(ended.stdout).toContain('Rebooting...');
    expect(ended.stderr.join('\n')).toContain(
      `the board crashed (esp-idf): "${FIRST}" (pc 0x400d1234, address 0x00000004) while waiting for "done"`,
    );
    expect(place.findings).toMatchObject([{ verdict: 'fail', blame: 'verdict', step: '--expect "done"' }]);
  });
});

describe('a crash', () => {
  beforeEach(() => {
    dut = place.newDut();
  });

  test('without the end of its dump ends with quiet', async () => {
    dut.on('go\n', `${FIRST}\r\nPC      : 0x400d1234\r\n`);
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'go', '--expect', 'done');
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain('(pc 0x400d1234)');
  });

  test('of U-Boot tells where its code was linked, with the lines that say so', async () => {
    const registers = Array.from({ length: 15 }, (_, i) => `x${i * 2} : 0000000000000000`);
    const dump = [
      '"Synchronous Abort" handler, esr 0x96000010, far 0x51000d8',
      'elr: 0000000000028104 lr : 0000000000028200 (reloc)',
      'elr: 0000000043f78104 lr : 0000000043f78200',
      ...registers,
      'Resetting CPU ...',
      'resetting ...',
    ];
    dut.on('go\n', `before\r\n${dump.join('\r\n')}\r\n`);
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'go', '--expect', 'done');
    expect(ended.stderr[0]).toContain('(pc 0000000000028104) while waiting for "done"; last lines:');
    const tail = [dump[0], dump[1], '…', ...dump.slice(-5)].map((line) => `sai-expect:   | ${line}`);
    expect(ended.stderr.slice(1)).toEqual(tail);
  });

  test('whose dump outlasts the time-out is a crash all the same', async () => {
    dut.on('go\n', `${FIRST}\r\n`);
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'go', '--expect', 'done', '--timeout', '500ms'],
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain('the board crashed (esp-idf)');
  });

  test('that takes the tty along is a crash all the same', async () => {
    dut.on('go\n', (board) => {
      board.say(`${FIRST}\r\n`);
      setTimeout(() => board.unplug(), 50);
    });
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'go', '--expect', 'done');
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain('the board crashed (esp-idf)');
  });

  test.each(CHUNKINGS)(
    'keeps what the board says after its dump for the next sai-expect: %s',
    async (chunking) => {
      await dut[Symbol.asyncDispose]();
      dut = place.newDut(chunking);
      place.lease(dut.ttyPath);
      dut.on('go\n', `${FIRST}\r\n${DUMP}\r\nrst:0xc (SW_CPU_RESET),boot:0x13 (X)\r\nready\r\n`);
      const args = ['--line', 'go', '--expect', 'never', '--optional'];
      expect((await place.run(...args)).status).toBe(1);
      expect((await place.run('--expect', 'rst:0xc', '--expect', 'ready')).status).toBe(0);
    },
  );

  test('lets no step go on while its dump is read', async () => {
    dut.on('go\n', `${FIRST}\r\n`);
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'go', '--pause', '300ms', '--line', 'more', '--expect', 'x'],
    );
    expect(ended.status).toBe(1);
    expect(dut.heard()).toBe('go\n');
  });

  test('of a family that is not looked for is text', async () => {
    dut.on('go\n', `${FIRST}\r\ndone\r\n`);
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'go', '--expect', 'done', '--crash', 'zephyr,linux'],
    );
    expect(ended.status).toBe(0);
  });
});

describe('a crash that is wanted', () => {
  beforeEach(() => {
    dut = place.newDut();
  });

  test.each([[[]], [['esp-idf']], [['zephyr,esp-idf']]])('is a pass: %j', async (family) => {
    dut.on('go\n', `${FIRST}\r\n${DUMP}\r\n`);
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'go', '--expect-crash', ...family);
    expect(ended).toEqual({ status: 0, signal: null, stdout: '', stderr: [] });
  });

  test('and is of another kind is a fail', async () => {
    dut.on('go\n', '*** PANIC: other\r\n');
    const ended = await place.run('--tty', dut.ttyPath, '--line', 'go', '--expect-crash', 'esp-idf');
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain('the board crashed (sai-uno)');
  });

  test('and does not come is a fail', async () => {
    dut.on('go\n', 'done\r\nCompleted: PASS\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'go', '--expect-crash', 'esp-idf', '--timeout', '300ms'],
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain('expected a crash of esp-idf within 300 ms');
  });

  test('goes with no other kind of pass', async () => {
    const ended = await place.run('--tty', dut.ttyPath, '--expect-crash', '--pass', 'x');
    expect(ended.status).toBe(64);
    expect(ended.stderr).toHaveLength(1);
  });

  test('is refused when there is no such family', async () => {
    const ended = await place.run('--tty', dut.ttyPath, '--expect-crash', 'zephir');
    expect(ended.status).toBe(64);
    expect(ended.stderr[0]).toMatch(/did you mean .*zephyr/);
  });
});

describe('while it settles', () => {
  beforeEach(() => {
    dut = place.newDut();
  });

  test('a crash after the last step counts', async () => {
    dut.on('go\n', (board) => {
      board.say('done\r\n');
      setTimeout(() => board.say('*** PANIC: late\r\n'), 100);
    });
    const steps = ['--tty', dut.ttyPath, '--line', 'go', '--expect', 'done'];
    const ended = await place.run(...steps, '--settle', '10s');
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain('the board crashed (sai-uno): "*** PANIC: late"');
  });

  test('a fail text after the pass text counts', async () => {
    dut.on('go\n', 'done\r\ndone\r\nbad\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'go', '--pass', 'done', '--fail', 'bad', '--settle', '10s'],
    );
    expect(ended.status).toBe(1);
  });

  test('no step goes on', async () => {
    dut.on('go\n', 'done\r\n');
    const steps = ['--line', 'go', '--pause', '100ms', '--line', 'more', '--expect', 'x'];
    const ended = await place.run('--tty', dut.ttyPath, ...steps, '--pass', 'done', '--settle', '300ms');
    expect(ended.status).toBe(0);
    expect(dut.heard()).toBe('go\n');
  });

  test('nothing of the kind is a pass', async () => {
    dut.on('go\n', 'done\r\nmore\r\n');
    const ended = await place.run(
      ...['--tty', dut.ttyPath, '--line', 'go', '--expect', 'done', '--settle', '200ms'],
    );
    expect(ended).toMatchObject({ status: 0, stderr: [] });
  });
});

test('the config of a device says what is a crash of it', async () => {
  dut = place.newDut();
  dut.on('go\n', 'ASSERT: x == 3\r\n');
  const config = join(place.folder, 'devices.json');
  mkdirSync(join(place.folder, 'other'));
  const crash = { families: ['zephyr'], patterns: ['^ASSERT: .*$'] };
  writeFileSync(config, JSON.stringify({ devices: [{ name: 'a', type: 'a', ttys: [dut.ttyPath], crash }] }));
  const path = join(place.folder, 'x.rec');
  const steps = ['--line', 'go', '--expect', 'done'];
  const command = ['sai-expect', ...steps, '--record', path];
  const outcome = await runCommand('sai-device', ['--quiet', '--config', config, 'a', ...command], {
    env: { PATH: `${join(ROOT, 'bin')}:${process.env['PATH']}`, SAI_RUN_DIR: join(place.folder, 'other') },
  });
  expect(outcome.status).toBe(1);
  expect(outcome.stderr).toContain('the board crashed (device): "ASSERT: x == 3"');
  const replayed = await place.run('--replay', path, ...steps);
  expect(replayed.status).toBe(1);
  expect(replayed.stderr[0]).toContain('the board crashed (device): "ASSERT: x == 3"');
});
