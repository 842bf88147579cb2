import { expect, test } from 'vitest';
import { StreamWatch, type WatchEvent } from '../../src/expect/stream-watch.ts';
import { randomPatterns, randomStream, type SamplePattern, slowMatch } from './reference.ts';
import { CASES, chunked, pick, type Random, SEED, xorshift } from './xorshift.ts';

interface Scene {
  readonly steps: readonly (readonly SamplePattern[])[];
  readonly fail: readonly SamplePattern[];
  readonly pass: readonly SamplePattern[];
  /** The step before which another watch goes on from what this one has left. */
  readonly handOver: number;
  readonly passCounts: 'at once' | 'when released';
}

const SEQUENCES = ['\x1b[0m', '\x1b[6n', '\x1b]0;ab\x07', '\x1b(B'];
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const ANY_SEQUENCE = /\x1b(?:\[0m|\[6n|\]0;ab\x07|\(B)/g;

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
      handOver: random(6),
      passCounts: pick(['at once', 'when released'], random),
    };
    const bytes = randomStream(random);
    const chunks = chunked(random(3) === 0 ? withSequences(bytes, random) : bytes, random);
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
        handOver: scene.handOver,
        passCounts: scene.passCounts,
        chunks: bytes.length < 100 ? chunks.map((chunk) => chunk.toString('latin1')) : bytes.length,
      });
      expect(fast, said).toEqual(slow);
    }
  }
});

/** All of the text comes, then the board is quiet. */
function fastStory({ steps, fail, pass, handOver, passCounts }: Scene, chunks: readonly Buffer[]): Story {
  const patterns = (samples: readonly SamplePattern[]) => samples.map(({ pattern }) => pattern);
  const newWatch = (): StreamWatch =>
    new StreamWatch(
      { fail: patterns(fail), pass: patterns(pass), crash: [] },
      { passCounts, escapeSequences: 'ignored' },
    );
  let watch = newWatch();
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
  for (const [index, step] of steps.entries()) {
    if (index === handOver) watch = goneOn(watch, newWatch(), rest);
    event = next(watch.expect(...patterns(step)));
    if (event?.kind !== 'step') break;
  }
  if (event?.kind === 'step') next(watch.finish());
  watch.end();
  for (const chunk of rest) watch.push(chunk);
  return [...story, Buffer.from(watch.unread.bytes).toString('latin1').replaceAll(ANY_SEQUENCE, '')];
}

/** The board goes on while one ends and the next begins. */
function goneOn(watch: StreamWatch, next: StreamWatch, rest: Buffer[]): StreamWatch {
  watch.end();
  watch.push(rest.shift() ?? Buffer.alloc(0));
  const { bytes, before } = watch.unread;
  next.goOnFrom({ bytes: Uint8Array.from(bytes), before });
  return next;
}

function withSequences(bytes: Buffer, random: Random): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random(20);
    pieces.push(bytes.subarray(at, at + size), Buffer.from(pick(SEQUENCES, random)));
    at += size;
  }
  return Buffer.concat(pieces);
}

/** Steps use up the text in order; what is armed sees all of it, and comes first at the same byte. */
function slowStory({ steps, fail, pass, handOver, passCounts }: Scene, bytes: Buffer): Story {
  const story: string[] = [];
  const armed = passCounts === 'at once' ? [...fail, ...pass] : fail;
  let verdict = slowMatch(armed, bytes, 0);
  let position = 0;
  const tell = (kind: string, index: number, start: number, end: number): void => {
    story.push(`${kind} ${index} ${bytes.toString('latin1', start, end)}`);
    position = Math.max(position, end); // what a step has used meanwhile stays so
  };
  const step = (index: number): 'over' | 'done' | undefined => {
    const choice = steps[index];
    if (choice && index === handOver) verdict = slowMatch(armed, bytes, position);
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
