import { expect, test } from 'vitest';
import { StreamWatch, type WatchEvent } from '../../src/expect/stream-watch.ts';
import { randomPatterns, randomStream, type SamplePattern, slowMatch } from './reference.ts';
import { CASES, chunked, SEED, xorshift } from './xorshift.ts';

interface Scene {
  readonly steps: readonly (readonly SamplePattern[])[];
  readonly fail: readonly SamplePattern[];
  readonly pass: readonly SamplePattern[];
}

/** One line for each thing decided, and what is left unread. */
type Story = readonly string[];

test(`${CASES} random scripts have the outcome of doing them slowly, in any chunking`, {
  timeout: 300_000,
}, () => {
  const random = xorshift(SEED + 1);
  for (let round = 0; round < CASES; round++) {
    const scene: Scene = {
      steps: Array.from({ length: random(4) }, () => randomPatterns(random)),
      fail: randomPatterns(random, -1),
      pass: randomPatterns(random, -1),
    };
    const bytes = randomStream(random);
    const chunks = chunked(bytes, random);
    const fast = fastStory(scene, chunks);
    const slow = slowStory(scene, bytes);
    if (fast.join('\n') !== slow.join('\n')) {
      const shown = (samples: readonly SamplePattern[]): string[] =>
        samples.map(({ pattern, source }) => `${pattern.kind} ${source}`);
      const said = JSON.stringify({
        seed: SEED,
        round,
        steps: scene.steps.map((each) => shown(each)),
        fail: shown(scene.fail),
        pass: shown(scene.pass),
        chunks: bytes.length < 100 ? chunks.map((chunk) => chunk.toString('latin1')) : bytes.length,
      });
      expect(fast, said).toEqual(slow);
    }
  }
});

/** All of the text comes, then the board is quiet. */
function fastStory({ steps, fail, pass }: Scene, chunks: readonly Buffer[]): Story {
  const patterns = (samples: readonly SamplePattern[]) => samples.map(({ pattern }) => pattern);
  const watch = new StreamWatch({ fail: patterns(fail), pass: patterns(pass), crash: [] });
  const story: string[] = [];
  const rest = [...chunks];
  const next = (event: WatchEvent | undefined): WatchEvent | undefined => {
    let decided = event;
    while (!decided && rest.length > 0) decided = watch.push(rest.shift() ?? Buffer.alloc(0));
    decided ??= watch.quiet();
    if (decided && decided.kind !== 'crash') {
      story.push(`${decided.kind} ${decided.index} ${Buffer.from(decided.bytes).toString('latin1')}`);
    }
    return decided;
  };
  let event: WatchEvent | undefined = { kind: 'step', index: 0, bytes: new Uint8Array() };
  for (const step of steps) {
    event = next(watch.expect(...patterns(step)));
    if (event?.kind !== 'step') break;
  }
  if (event?.kind === 'step') next(watch.finish());
  watch.end();
  for (const chunk of rest) watch.push(chunk);
  return [...story, Buffer.from(watch.unread.bytes).toString('latin1')];
}

/** Steps use up the text in order; what is armed sees all of it, and comes first at the same byte. */
function slowStory({ steps, fail, pass }: Scene, bytes: Buffer): Story {
  const story: string[] = [];
  const verdict = slowMatch([...fail, ...pass], bytes, 0);
  let position = 0;
  const tell = (kind: string, index: number, start: number, end: number): void => {
    story.push(`${kind} ${index} ${bytes.toString('latin1', start, end)}`);
    position = end;
  };
  const step = (index: number): 'over' | 'done' | undefined => {
    const choice = steps[index];
    const found = choice && slowMatch(choice, bytes, position);
    if (verdict && (!found || verdict.when <= found.when)) {
      const isFail = verdict.index < fail.length;
      const nth = isFail ? verdict.index : verdict.index - fail.length;
      tell(isFail ? 'fail' : 'pass', nth, verdict.start, verdict.end);
      return 'over';
    }
    if (found) tell('step', found.index, found.start, found.end);
    return found ? 'done' : undefined;
  };
  for (let index = 0; step(index) === 'done'; index++);
  return [...story, bytes.toString('latin1', position)];
}
