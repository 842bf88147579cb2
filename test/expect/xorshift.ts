/** Set `SAI_TEST_SEED` to repeat what a failed run did with the seed that it names. */
export const SEED = Number(process.env['SAI_TEST_SEED'] ?? Date.now() % 2 ** 31);

/** The same numbers for the same seed: below `limit`, whole, from 0. Source: Marsaglia, "Xorshift RNGs", 2003. */
export function xorshift(seed: number): (limit: number) => number {
  let state = (seed | 0) === 0 ? 1 : seed | 0;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}
