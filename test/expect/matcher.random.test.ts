import { expect, test } from 'vitest';
import { type Match, Matcher, type Pattern } from '../../src/expect/matcher.ts';
import { type Found, randomPatterns, randomStream, type SamplePattern, slowMatch } from './reference.ts';
import { CASES, chunked, type Random, SEED, xorshift } from './xorshift.ts';

test(`${CASES} random streams are matched as by looking at every byte anew, in any chunking`, {
  timeout: 300_000,
}, () => {
  const random = xorshift(SEED);
  for (let round = 0; round < CASES; round++) {
    const samples = randomPatterns(random);
    const bytes = randomStream(random);
    const chunks = chunked(bytes, random);
    const quiets = quietPlaces(chunks, random);
    const said = JSON.stringify({
      seed: SEED,
      round,
      patterns: samples.map(({ pattern, source }) => `${pattern.kind} ${source}`),
      quiets: [...quiets],
      chunks: bytes.length < 100 ? chunks.map((chunk) => chunk.toString('latin1')) : bytes.length,
    });
    const slow = slowMatches(samples, bytes, quiets);
    const fast = fastMatches(
      samples.map(({ pattern }) => pattern),
      chunks,
      quiets,
    );
    // Compared as text: a tenth of the time, as almost always there is nothing to tell.
    if (JSON.stringify(fast) !== JSON.stringify(slow)) expect(fast, said).toEqual(slow);
  }
});

/** Ends of some of the chunks, of many a few, as all is read anew for each; always that of the last one. */
function quietPlaces(chunks: readonly Buffer[], random: Random): Set<number> {
  const places = new Set<number>();
  const oneIn = Math.max(4, Math.ceil(chunks.length / 10));
  let end = 0;
  for (const [index, { length }] of chunks.entries()) {
    end += length;
    if (random(oneIn) === 0 || index === chunks.length - 1) places.add(end);
  }
  return places;
}

function slowMatches(samples: readonly SamplePattern[], bytes: Buffer, quiets: ReadonlySet<number>): Found[] {
  const all: Found[] = [];
  for (let floor = 0; ; floor = all.at(-1)?.decidedAt ?? 0) {
    const found = slowMatch(samples, bytes, 0, floor, quiets);
    if (!found) return all;
    const { when: _, ...place } = found;
    all.push(place);
  }
}

/** Every match: after each, the matcher is given what follows the byte that decided it. */
function fastMatches(
  patterns: readonly Pattern[],
  chunks: readonly Buffer[],
  quiets: ReadonlySet<number>,
): Found[] {
  const matcher = new Matcher(patterns);
  const all: Found[] = [];
  const take = (match: Match | undefined): boolean => {
    if (match) all.push(found(match));
    return match !== undefined;
  };
  let start = 0;
  for (const chunk of chunks) {
    while (take(matcher.push(chunk, matcher.scanned - start)));
    start += chunk.length;
    if (quiets.has(start)) take(matcher.quiet());
  }
  return all;
}

function found({ index, start, end, decidedAt, captures }: Match): Found {
  const place = { index, start, end, decidedAt };
  const latin1 = (bytes: Uint8Array | undefined): string | undefined =>
    bytes && Buffer.from(bytes).toString('latin1');
  return captures ? { ...place, groups: captures.groups.map((group) => latin1(group)) } : place;
}
