import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { inspectTargets } from '../../src/jig/inspect.ts';
import { planTargets, sequenceAt } from '../../src/jig/plan.ts';
import { simulate } from '../../src/jig/simulation.ts';
import { printedSeed } from '../peers/seeded-random.ts';

const NAMES = ['a', 'b', 'c'];
const GPIOS = [
  { name: 'a', chip_index: 0, offset: 0, maxActive: 25 },
  { name: 'b', chip_index: 1, offset: 0, safe: 1 },
  { name: 'c', chip_index: 1, offset: 1, safe: 'release', activeLow: true, maxActive: 10 },
  { name: 'in', chip_index: 1, offset: 2, direction: 'in' },
];

const name = fc.constantFrom(...NAMES);
const value = fc.constantFrom(0, 1);
const ms = fc.constantFrom(0, 1, 5, 9, 10, 11, 20, 24, 25, 30);
const step = fc.letrec<{ step: object }>((tie) => ({
  step: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.record({ gpio_name: name, value }),
    fc.record({ set: fc.dictionary(name, value, { minKeys: 1 }) }),
    fc.record({ pulse: name, for: fc.constantFrom(0, 1, 4, 9), value }),
    fc.record({ value: ms }),
    fc.record({ wait_for: fc.constant('in'), value, within: fc.constantFrom(1, 50) }),
    fc.record({ repeat: fc.constantFrom(1, 2, 3), seq: fc.array(tie('step'), { maxLength: 3 }) }),
  ),
})).step;

/** Of the engine on simulated chips, where the board takes no time. */
async function outcomeOf(config: object): Promise<string> {
  const plan = planTargets(parse(JigConfig, config, 'jig.json'), 'jig.json');
  const { target, sequence } = sequenceAt(plan, 'dut/go');
  const { failure } = await simulate(target, sequence, new Map(), new AbortController().signal);
  return failure?.code ?? 'done';
}

test('an error is found of just those sequences that fail when they are played', {
  timeout: 60_000,
}, async () => {
  const interlocks = fc.constantFrom(
    [],
    [['a', 'b']],
    [['a', 'b', 'c']],
    [
      ['a', 'c'],
      ['b', 'c'],
    ],
  );
  const property = fc.asyncProperty(fc.array(step, { maxLength: 6 }), interlocks, async (seq, groups) => {
    const sequences = [{ name: 'go', seq }];
    const config = {
      schema: 'sai-jig',
      targets: [{ name: 'dut', gpios: GPIOS, interlocks: groups, sequences }],
    };
    const plan = planTargets(parse(JigConfig, config, 'jig.json'), 'jig.json');
    const errors = inspectTargets(plan).filter(({ severity }) => severity === 'error');
    const codes = errors.map(
      ({ code }) => ({ interlock: 'interlocked', 'max-active': 'active-too-long' })[code as string],
    );
    const outcome = await outcomeOf(config);
    // What fails first ends the sequence; what would come after it is found all the same.
    if (outcome === 'done') expect(codes).toEqual([]);
    else expect(codes).toContain(outcome);
  });
  await fc.assert(property, { numRuns: 500, seed: printedSeed() });
});
