import { once } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import type { DutOnPty } from '../peers/dut-on-pty.ts';
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
      `sai-expect: ${2_000_007 - stdout.length} bytes of the board are not shown: stdout is not read`,
    ]);
  });
});
