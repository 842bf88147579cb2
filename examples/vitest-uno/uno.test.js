import { openConsole } from 'sai-rig/expect';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

/** @type {import('sai-rig/expect').Console} */
let console;

beforeAll(async () => {
  console = await openConsole('0', {
    timeoutMs: 10_000,
    fail: ['Completed: FAIL'],
    pass: ['Completed: PASS'],
  });
});

beforeEach(async () => {
  await console.jig('reset');
  await console.expect('> ');
});

afterAll(async () => {
  await console?.release();
});

test('the firmware tells its version', async () => {
  await console.line('version');
  const { named } = await console.expect(/^sai-uno (?<version>\d+\.\d+\.\d+)/);
  expect(named.version).toBe('1.0.0');
});

test('what is echoed comes back whole', async () => {
  await console.line('echo one two');
  await console.expect(/^one two$/);
});

test('the self-test passes', async () => {
  await console.line('selftest');
  await console.verdict();
});
