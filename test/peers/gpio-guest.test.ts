import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { GpioGuest, needsGpioGuest, whyNoGpioGuest } from './gpio-guest.ts';

let guest: GpioGuest;

beforeAll(async () => {
  if (!whyNoGpioGuest()) guest = await GpioGuest.start();
});
beforeEach(needsGpioGuest);
afterAll(async () => await guest?.[Symbol.asyncDispose]());

test('a program that runs in the guest has its input, its output and its status', async () => {
  const outcome = await guest.run('sh', ['-c', 'cat; echo "$WORD" >&2; exit 7'], {
    input: 'typed\n',
    env: { WORD: 'said' },
  });
  expect(outcome).toEqual({ status: 7, stdout: 'typed\n', stderr: 'said\n' });
});

test('a program of the guest can be killed', async () => {
  const sleeper = guest.start('sh', ['-c', 'echo ready; exec sleep 1000']);
  await sleeper.line(/ready/);
  sleeper.kill('SIGTERM');
  expect((await sleeper.outcome).status).toBe('SIGTERM');
});

test('a chip of the guest has named lines, which the board pulls', async () => {
  const chip = await guest.addChip('test-chip', ['reset', 'boot']);
  await guest.shell(`echo pull-up > ${chip.sysfs}/sim_gpio1/pull`);
  expect(await guest.shell(`gpioget ${chip.path} 0 1`)).toBe('0 1\n');
  expect(await guest.shell('gpiofind boot')).toContain('1');
});
