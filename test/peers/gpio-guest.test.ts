import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { GpioGuest, needsGpioGuest, whyNoGpioGuest } from './gpio-guest.ts';
import { guestReports, guestTests } from './guest-tests.ts';
import { whyNoLibgpiod } from './needs.ts';

const why = whyNoGpioGuest();
const guest = why === undefined ? await GpioGuest.start() : undefined;
afterAll(async () => await guest?.[Symbol.asyncDispose]());

await guestTests(guest, 'uapi-chip.test.ts', why);
await guestTests(guest, 'libgpiod-chip.test.ts', why ?? whyNoLibgpiod());
await guestTests(guest, 'kernel-target.test.ts', why ?? whyNoLibgpiod());

describe('the guest', () => {
  beforeEach(needsGpioGuest);
  const rig = guest as GpioGuest; // or no test runs

  test('runs a program with its input, its output and its status', async () => {
    const outcome = await rig.run('sh', ['-c', 'cat; echo "$WORD" >&2; exit 7'], {
      input: 'typed\n',
      env: { WORD: 'said' },
    });
    expect(outcome).toEqual({ status: 7, stdout: 'typed\n', stderr: 'said\n' });
  });

  test('has programs that can be killed', async () => {
    const sleeper = rig.start('sh', ['-c', 'echo ready; exec sleep 1000']);
    await sleeper.line(/ready/);
    sleeper.kill('SIGTERM');
    expect((await sleeper.outcome).status).toBe('SIGTERM');
  });

  test('tells what fails of tests that run in it, and what hinders them', async () => {
    expect(await guestReports(rig, 'fixtures/failing.ts')).toEqual([
      { name: 'some > that pass' },
      { name: 'some > that fail', problem: expect.stringContaining('expected 1 to be 2') },
      { name: 'some > that are left out', problem: 'skip' },
    ]);
    expect(await guestReports(rig, 'fixtures/throwing.ts')).toEqual([
      { name: 'it can be loaded', problem: 'thrown when loaded' },
    ]);
    await expect(guestReports(rig, 'fixtures/ending.ts')).rejects.toThrow(
      'fixtures/ending.ts: expected a report, got 0: begun: ends it all\n',
    );
    await expect(guestReports(rig, 'fixtures/hanging.ts', 2000)).rejects.toThrow(
      /^fixtures\/hanging\.ts: expected an end within 2 s of what was begun last: (?:nothing|never ends)$/,
    );
  });

  test('has chips with named lines, which the board pulls', async () => {
    const chip = await rig.addChip('test-chip', ['reset', 'boot']);
    await rig.shell(`echo pull-up > ${chip.sysfs}/sim_gpio1/pull`);
    expect(await rig.shell(`gpioget ${chip.path} 0 1`)).toBe('0 1\n');
    expect(await rig.shell('gpiofind boot')).toContain('1');
  });
});
