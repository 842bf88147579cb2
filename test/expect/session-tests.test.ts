import { expect, test } from 'vitest';
import { ReplayClock } from '../../src/expect/replay-clock.ts';
import type { Script } from '../../src/expect/script.ts';
import { SessionTests } from '../../src/expect/session-tests.ts';
import { failureOf, ResultsCollector } from '../../src/results/results-collector.ts';

const ITERATION =
  '[==========] Running 1 test from 1 test suite.\n[ RUN      ] A.b\n[       OK ] A.b (0 ms)\n' +
  '[==========] 1 test from 1 test suite ran. (0 ms total)\n[  PASSED  ] 1 test.\n';

test('a run that begins just after another one is waited for as well', () => {
  const clock = Object.assign(new ReplayClock(), { onceRead: (act: () => void) => act() });
  const collector = new ResultsCollector('gtest', () => {});
  let ends = 0;
  const results = {
    push: (chunk: Uint8Array) => collector.push(chunk),
    get isComplete() {
      return collector.isComplete;
    },
    hasFailed: false,
    conclude: () => undefined,
  };
  const script = { steps: [], pass: [], fail: [], crash: 'auto' } as unknown as Script;
  const tests = new SessionTests(results, script, clock, () => {
    ends++;
  });
  const passTo = (ms: number): void => {
    while (clock.nextMs !== undefined && clock.nextMs <= ms) clock.fireNext();
    clock.advanceTo(ms);
  };
  tests.stepsDone();
  const atMs = (ms: number, text: string): void => {
    passTo(ms);
    tests.push(Buffer.from(text));
  };
  atMs(0, ITERATION);
  atMs(100, ITERATION.slice(0, 60));
  passTo(1000);
  expect(ends).toBe(0);
  atMs(1000, ITERATION.slice(60));
  passTo(2000);
  expect(ends).toBe(1);
  expect(failureOf(collector.end())).toBeUndefined();
});
