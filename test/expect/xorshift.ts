/** Set `SAI_TEST_SEED` to repeat what a failed run did with the seed that it names. */
export const SEED = Number(process.env['SAI_TEST_SEED'] ?? Date.now() % 2 ** 31);

/** Random cases of one property in a run: more where everything is asked for. */
export const CASES = process.env['SAI_TEST_REQUIRE'] === 'all' ? 100_000 : 10_000;

export type Random = (limit: number) => number;

/** The same numbers for the same seed: below `limit`, whole, from 0. Source: Marsaglia, "Xorshift RNGs", 2003. */
export function xorshift(seed: number): Random {
  let state = (seed | 0) === 0 ? 1 : seed | 0;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

export function pick<T>(from: readonly T[], random: Random): T {
  const picked = from[random(from.length)];
  if (picked === undefined) throw new Error('nothing to pick from');
  return picked;
}

/** The bytes in order: whole, one at a time, or cut at random. */
export function chunked(bytes: Buffer, random: Random): Buffer[] {
  const longest = pick([bytes.length + 1, 1, 3, 17, 3000], random);
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = longest > bytes.length ? bytes.length : 1 + random(longest);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}
