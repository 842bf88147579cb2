import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { readTtySettings } from '../../src/native/termios.ts';
import { CHUNKINGS, type DutOnPty } from '../peers/dut-on-pty.ts';
import { said, type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
});

/** What the next call will see first; in the file, the byte before it leads. */
function keptIn(leaseFolder: string): string | undefined {
  const path = join(leaseFolder, 'console-0.unread');
  return existsSync(path) ? readFileSync(path, 'latin1').slice(1) : undefined;
}

describe.each(CHUNKINGS)('under a lease, a board that talks in %s', (chunking) => {
  test('what one call has read too much is what the next one sees first', async () => {
    dut = place.newDut(chunking);
    const folder = place.lease(dut.ttyPath);
    dut.say('first second third');
    expect(await place.run('--expect', 'first')).toMatchObject({ status: 0 });
    expect(await place.run('--tty', 'shell', '--expect', 'second')).toMatchObject({ status: 0 });
    dut.say(' fourth');
    expect(await place.run('--tty', dut.ttyPath, '--expect', 'third fourth')).toMatchObject({ status: 0 });
    expect(keptIn(folder)).toBe('');
    expect(readTtySettings(dut.ttyFd).baudRate).toBe(57_600);
  });

  test('the rest of a line that a call has used in part is no line to the next one', async () => {
    dut = place.newDut(chunking);
    place.lease(dut.ttyPath);
    dut.say('> echo *** PANIC: of no interest\r\n*** ');
    expect(await place.run('--expect', '> echo ')).toMatchObject({ status: 0 });
    const rest = ['--regex', '^\\*\\*\\* '];
    expect(await place.run(...rest)).toMatchObject({ status: 0, stderr: [] });
    expect(await place.run(...rest, '--timeout', '300ms')).toMatchObject({ status: 1 });
  });

  test('what a killed call had read is seen by the next one', async () => {
    dut = place.newDut(chunking);
    const folder = place.lease(dut.ttyPath);
    dut.say('used unused');
    const killed = place.start(['-v', '--expect', 'used ', '--expect', 'never', '--timeout', 'never']);
    await said(killed, '--expect "never"');
    await expect.poll(() => keptIn(folder)).toBe('unused');
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(await place.run('--expect', 'used', '--timeout', '300ms')).toMatchObject({ status: 0 });
    expect(await place.run('--expect', 'unused', '--timeout', '300ms')).toMatchObject({ status: 1 });
  });

  test('a stale pass in the kept bytes cannot pass after a fresh step', async () => {
    dut = place.newDut(chunking);
    place.lease(dut.ttyPath);
    dut.say('ready Completed: PASS');
    expect(await place.run('--expect', 'ready')).toMatchObject({ status: 0 });
    const ended = await place.run('--fresh', '--pass', 'Completed: PASS', '--timeout', '400ms');
    expect(ended.status).toBe(1);
    expect(await place.run('--expect', 'PASS', '--timeout', '300ms')).toMatchObject({ status: 1 });
  });
});

test('the kept bytes are bounded', async () => {
  dut = place.newDut();
  const folder = place.lease(dut.ttyPath);
  const started = place.start(['--expect', 'the end', '--expect', 'never', '--timeout', '2s']);
  await dut.sayAll('the end'.padStart(100_000));
  await dut.sayAll('x'.repeat(300_000));
  expect(await started.ended).toMatchObject({ status: 1 });
  expect(keptIn(folder)).toHaveLength(64 * 1024);
});

test('a second reader of a console waits its turn', async () => {
  dut = place.newDut();
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
    dut = place.newDut();
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
  dut = place.newDut();
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
  dut = place.newDut();
  const first = place.start(['-v', '--tty', dut.ttyPath, '--expect', 'x', '--timeout', 'never']);
  await said(first, '--expect');
  const second = place.start(['--tty', dut.ttyPath, '--expect', 'x', '--timeout', 'never']);
  await said(second, 'waiting for process');
  second.child.kill('SIGTERM');
  expect(await second.ended).toMatchObject({ status: 143 });
  dut.say('x');
  expect(await first.ended).toMatchObject({ status: 0 });
});

test('any name of a leased tty means the leased tty', async () => {
  dut = place.newDut();
  place.lease(dut.ttyPath);
  const link = join(place.folder, 'by-id');
  symlinkSync(dut.ttyPath, link);
  dut.say('one two');
  expect(await place.run('--tty', link, '--expect', 'one')).toMatchObject({ status: 0 });
  expect(await place.run('--tty', '0', '--expect', 'two')).toMatchObject({ status: 0 });
});
