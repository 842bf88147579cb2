import { expect, test } from 'vitest';
import { type Match, Matcher, type Pattern } from '../../src/expect/matcher.ts';
import { type Found, randomPatterns, randomStream, type SamplePattern, slowMatch } from './reference.ts';
import { CASES, chunked, SEED, xorshift } from './xorshift.ts';

test(`${CASES} random streams are matched as by looking at every byte anew, in any chunking`, {
  timeout: 300_000,
}, () => {
  const random = xorshift(SEED);
  for (let round = 0; round < CASES; round++) {
    const samples = randomPatterns(random);
    const bytes = randomStream(random);
    const chunks = chunked(bytes, random);
    const said = JSON.stringify({
      seed: SEED,
      round,
      patterns: samples.map(({ pattern, source }) => `${pattern.kind} ${source}`),
      chunks: bytes.length < 100 ? chunks.map((chunk) => chunk.toString('latin1')) : bytes.length,
    });
    const slow = slowMatches(samples, bytes);
    const fast = fastMatches(
      samples.map(({ pattern }) => pattern),
      chunks,
    );
    // Compared as text: a tenth of the time, as almost always there is nothing to tell.
    if (JSON.stringify(fast) !== JSON.stringify(slow)) expect(fast, said).toEqual(slow);
  }
});

function slowMatches(samples: readonly SamplePattern[], bytes: Buffer): Found[] {
  const all: Found[] = [];
  for (let floor = 0; ; floor = all.at(-1)?.decidedAt ?? 0) {
    const found = slowMatch(samples, bytes, 0, floor);
    if (!found) return all;
    all.push(placeOf(found));
  }
}

/** Every match: after each, the matcher is given what follows the byte that decided it. */
function fastMatches(patterns: readonly Pattern[], chunks: readonly Buffer[]): Found[] {
  const matcher = new Matcher(patterns);
  const all: Found[] = [];
  const take = (match: Match | undefined): boolean => {
    if (match) all.push(placeOf(match));
    return match !== undefined;
  };
  let start = 0;
  for (const chunk of chunks) {
    while (take(matcher.push(chunk, matcher.scanned - start)));
    start += chunk.length;
  }
  take(matcher.quiet());
  return all;
}

function placeOf({ index, start, end, decidedAt }: Found): Found {
  return { index, start, end, decidedAt };
}
