import { setTimeout as delay } from 'node:timers/promises';

/** Random choices that a failed run can repeat: set `SAI_TEST_SEED` to the seed that it printed. */
export interface SeededRandom {
  readonly seed: number;
  pick<T>(from: readonly T[]): T;
  /** Lets a random time pass, so that what follows hits any moment. */
  pause(atMostMs: number): Promise<void>;
}

/** A seed for a library that draws by itself; printed. */
export function printedSeed(): number {
  const seed = Number(process.env['SAI_TEST_SEED'] ?? Date.now() % 2 ** 31);
  process.stdout.write(`SAI_TEST_SEED=${seed}\n`);
  return seed;
}

export function seededRandom(): SeededRandom {
  const seed = printedSeed();
  const next = mulberry32(seed);
  return {
    seed,
    pick: (from) => {
      const picked = from[Math.floor(next() * from.length)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
    pause: (atMostMs) => delay(next() * atMostMs),
  };
}

/** Source: Tommy Ettinger's public-domain mulberry32. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
