import { expect, test } from 'vitest';
import { Gate } from '../../src/jig/gate.ts';

const ABORTED = new Error('gone');

test('a gate lets all pass that wait for it, and whoever comes later', async () => {
  const gate = new Gate();
  const { signal } = new AbortController();
  let passed = 0;
  const waiting = [gate.passed(signal), gate.passed(signal)].map((each) => each.then(() => passed++));
  await Promise.resolve();
  expect(passed).toBe(0);
  gate.open();
  await Promise.all(waiting);
  gate.open();
  await gate.passed(signal);
  expect(passed).toBe(2);
});

test('whoever has gone waits no longer, also where the gate is never opened, and never passes', async () => {
  const gate = new Gate();
  const gone = new AbortController();
  const waiting = gate.passed(gone.signal);
  gone.abort(ABORTED);
  await expect(waiting).rejects.toBe(ABORTED);
  gate.open();
  await expect(gate.passed(gone.signal)).rejects.toBe(ABORTED);
});
