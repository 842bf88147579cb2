import { expect, test } from 'vitest';
import { runProgram } from '../../src/jig/run-program.ts';

test('what a program says before it ends is known at its end, also where many end at once', async () => {
  const numbers = Array.from({ length: 40 }, (_, number) => number);
  const { signal } = new AbortController();
  for (let round = 0; round < 10; round++) {
    const outcomes = await Promise.all(
      numbers.map(
        async (number) => await runProgram(['sh', '-c', `echo ${number}; echo no >&2`], 60_000, signal),
      ),
    );
    expect(outcomes).toEqual(numbers.map((number) => ({ status: 0, stdout: `${number}\n`, stderr: 'no\n' })));
  }
});
