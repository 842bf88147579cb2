import { expect, test } from 'vitest';
import { ReplayClock } from '../../src/expect/replay-clock.ts';
import type { Script } from '../../src/expect/script.ts';
import { type Problem, SessionEnding } from '../../src/expect/session-ending.ts';
import { StreamWatch } from '../../src/expect/stream-watch.ts';
import { Transcript } from '../../src/expect/transcript.ts';

test('tests that end while a crash is read to its end make no pass of it', () => {
  const clock = Object.assign(new ReplayClock(), { onceRead: (act: () => void) => act() });
  const verdicts: (Problem | undefined)[] = [];
  const script: Script = { steps: [], pass: [], fail: [], crash: 'auto', escapeSequences: 'seen' };
  const ending = new SessionEnding({
    script,
    clock,
    watch: new StreamWatch({ pass: [], fail: [], crash: [] }),
    transcript: new Transcript(),
    results: { push: () => {}, isComplete: true, hasFailed: false, conclude: () => undefined },
    look: () => {},
    onVerdict: (problem) => verdicts.push(problem),
    detail: () => {},
  });
  ending.crashed({ kind: 'crash', family: 'riot', line: '*** RIOT kernel panic:' });
  ending.passed();
  expect(verdicts).toEqual([]);
  clock.fireNext();
  expect(verdicts).toMatchObject([{ text: 'the board crashed (riot): "*** RIOT kernel panic:"' }]);
});
