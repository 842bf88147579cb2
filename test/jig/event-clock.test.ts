import { expect, test } from 'vitest';
import { EventClock } from '../../src/jig/event-clock.ts';

const NEVER = new AbortController().signal;

test('time jumps to whoever wakes first, of several to the first that lay down', async () => {
  const clock = new EventClock();
  const woken: string[] = [];
  const sleep = async (name: string, ms: number): Promise<void> => {
    await clock.sleepUntil(ms, NEVER);
    woken.push(`${name} at ${clock.nowMs()}`);
  };
  const naps = async (): Promise<void> => {
    await sleep('first nap', 10);
    await sleep('second nap', 20);
  };
  await Promise.all([sleep('late', 86_400_000), sleep('early', 20), naps(), sleep('past', 0)]);
  expect(woken).toEqual([
    'past at 0',
    'first nap at 10',
    'early at 20',
    'second nap at 20',
    'late at 86400000',
  ]);
});

test('who is no longer waited for does not wake, and no time passes for it', async () => {
  const clock = new EventClock();
  const end = new AbortController();
  const reason = new Error('enough');
  const long = clock.sleepUntil(1000, end.signal).catch((error: unknown) => error);
  await clock.sleepUntil(5, NEVER);
  end.abort(reason);
  expect(await long).toBe(reason);
  await clock.sleepUntil(6, NEVER);
  expect(clock.nowMs()).toBe(6);
  await expect(clock.sleepUntil(7, end.signal)).rejects.toBe(reason);
  clock.skip(100);
  expect(clock.nowMs()).toBe(106);
});
