import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { withoutOptimizer } from '../../src/device/optimizer.ts';

/** Source: V8 src/runtime/runtime.h, OptimizationStatus::kTurboFanned. */
const TURBOFANNED = 1 << 6;

setFlagsFromString('--allow-natives-syntax');
const statusOf = new Function('f', 'return %GetOptimizationStatus(f)') as (f: unknown) => number;

/** A function that V8 has every reason to optimize. */
function hotFunction(): unknown {
  const add = new Function('a', 'b', 'return a + b') as (a: number, b: number) => number;
  const optimize = new Function('f', '%PrepareFunctionForOptimization(f); f(1, 2); f(3, 4)');
  optimize(add);
  const giveTime = performance.now() + 200;
  for (let sum = 0; performance.now() < giveTime; ) for (let i = 0; i < 100_000; i++) sum = add(sum, i) % 7;
  return add;
}

test('what runs without the optimizer is not optimized, and what runs afterwards is', async () => {
  const during = await withoutOptimizer(async () => statusOf(hotFunction()));
  expect(during & TURBOFANNED).toBe(0);
  await expect(withoutOptimizer(() => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
  expect(statusOf(hotFunction()) & TURBOFANNED).toBe(TURBOFANNED);
});
