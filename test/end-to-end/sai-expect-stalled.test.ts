import { once } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import { DutOnPty } from '../peers/dut-on-pty.ts';
import { type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
});

describe('a reader of stdout that has stopped', () => {
  const talkingDut = (): DutOnPty =>
    place.newDut().on('go', (board) => void board.sayAll('x'.repeat(2_000_000)));

  test.each([
    ['stdout alone', []],
    ['stdout and stderr in one pipe', ['sh', '-c', 'exec "$@" 2>&1', '-']],
  ] as const)('does not hold up the deadline: %s', async (_what, wrapper) => {
    dut = talkingDut();
    const step = ['--send', 'go', '--expect', 'never', '--timeout', '1s', '--verbose-on-fail'];
    const { child, ended } = place.start(['--echo', '--tty', dut.ttyPath, ...step], wrapper);
    child.stdout.pause();
    await once(child, 'exit');
    expect(place.findings).toMatchObject([{ blame: 'verdict', step: '--expect "never"' }]);
    child.stdout.resume();
    expect(await ended).toMatchObject({ status: 1 });
  });

  test('does not hold up the verdict, and is told of what it has missed', async () => {
    dut = place.newDut().on('go', (board) => void board.sayAll(`${'x'.repeat(2_000_000)}the end`));
    const { child, ended } = place.start([
      '--echo',
      '--tty',
      dut.ttyPath,
      '--send',
      'go',
      '--expect',
      'the end',
    ]);
    child.stdout.pause();
    await once(child, 'exit');
    child.stdout.resume();
    const { status, stdout, stderr } = await ended;
    expect(status).toBe(0);
    expect(stderr).toEqual([
      `sai-expect: ${2_000_007 - stdout.length} bytes of the board are not shown on stdout: it is not read`,
    ]);
  });
});

describe('a disk that is full', () => {
  const onFullDisk = (fds: string): readonly string[] => ['sh', '-c', `exec "$@" ${fds}`, '-'];

  test('takes nothing of a pass, which says what is not shown', async () => {
    dut = new DutOnPty();
    dut.say('ready');
    const started = place.start(
      ['--echo', '--tty', dut.ttyPath, '--expect', 'ready'],
      onFullDisk('>/dev/full'),
    );
    expect(await started.ended).toMatchObject({
      status: 0,
      stderr: [
        'sai-expect: 5 bytes of the board are not shown on stdout: ENOSPC: no space left on device, write',
      ],
    });
    expect(place.findings).toEqual([]);
  });

  test('takes nothing of a failure, for which stderr has no room', async () => {
    dut = new DutOnPty();
    const started = place.start(
      ['-v', '--tty', dut.ttyPath, '--expect', 'never', '--timeout', '200ms'],
      onFullDisk('>/dev/full 2>&1'),
    );
    expect(await started.ended).toMatchObject({ status: 1 });
    expect(place.findings).toMatchObject([{ blame: 'verdict', step: '--expect "never"' }]);
  });

  test('is said of by what only prints: 69', async () => {
    const { status, stderr } = await place.start(['--help'], onFullDisk('>/dev/full')).ended;
    expect({ status, stderr }).toEqual({
      status: 69,
      stderr: ['sai-expect: stdout: cannot be written: ENOSPC: no space left on device, write'],
    });
  });
});
