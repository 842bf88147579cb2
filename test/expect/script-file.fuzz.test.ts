// biome-ignore-all lint/suspicious/noTemplateCurlyInString: scripts have variables of that form

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { explainPlan } from '../../src/expect/explain-plan.ts';
import { loadScript } from '../../src/expect/script-file.ts';
import { tempFolder } from '../temp-folder.ts';

/** Loads and explains it; what is wrong with it is one line with the name of the file. */
async function look(file: string, text: string | Uint8Array): Promise<string> {
  writeFileSync(file, text);
  try {
    const loaded = await loadScript({
      file,
      variables: [],
      lineEnd: undefined,
      env: {},
      unsafe: undefined,
      missingValues: 'taken',
      pass: 'of the file',
    });
    expect(explainPlan(loaded, 'never')).toContain(loaded.name);
    return 'fine';
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    expect(error.message).not.toMatch(/[\r\n]/);
    expect(error.message).toContain(file);
    expect(error.blame).toBe('config');
    return error.message;
  }
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    'a',
    'ab',
    'login: ',
    '${a}',
    '$${',
    '${',
    '(?<a>x)',
    '[',
    '(a+)+$',
    '\\x0',
    'self.yaml',
    '@linux-login',
    '__proto__',
  ),
);
const name = fc.constantFrom('a', 'b', 'next', 'end', 'leave', '__proto__', '1', '');

/** Steps as people might write them, with every mistake. */
const { step } = fc.letrec((tie) => ({
  steps: fc.array(tie('step'), { maxLength: 4, depthIdentifier: 'steps' }),
  // biome-ignore lint/suspicious/noThenProperty: it becomes JSON
  choice: fc.record({ expect: text, regex: text, goto: name, then: tie('steps') }, { requiredKeys: [] }),
  step: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'steps' },
    fc.constantFrom('fresh', 'expect', 'label'),
    fc.record({ send: text }),
    fc.record({ line: text, within: fc.constantFrom('1s', 'x', '99999999999h') }, { requiredKeys: ['line'] }),
    fc.record({ expect: text }),
    fc.record({ regex: text }),
    fc.record({ label: name, limit: fc.integer() }, { requiredKeys: ['label'] }),
    fc.record({ goto: name }),
    fc.record({ fail: text }),
    fc.record({ call: text, with: fc.dictionary(name, text) }, { requiredKeys: ['call'] }),
    fc.record({ choices: fc.array(tie('choice'), { maxLength: 3 }) }),
    fc.record({ loop: fc.record({ limit: fc.integer({ min: -1, max: 5 }), steps: tie('steps') }) }),
    fc.record({ repeat: fc.record({ times: fc.integer({ min: -1, max: 5 }), steps: tie('steps') }) }),
    fc.record({ parallel: fc.dictionary(name, tie('steps'), { maxKeys: 3 }) }),
    fc.jsonValue(),
  ),
}));

const script = fc.record(
  {
    variables: fc.dictionary(
      name,
      fc.oneof(text, fc.record({ env: name, default: text }, { requiredKeys: [] })),
    ),
    pass: fc.array(text, { maxLength: 2 }),
    timeout: fc.constantFrom('never', '5s', 'x'),
    steps: fc.array(step, { maxLength: 6 }),
  },
  { requiredKeys: ['steps'] },
);

const NUM_RUNS = process.env['SAI_TEST_REQUIRE'] === 'all' ? 3000 : 1500;

test('whatever is in a script, it is loaded or told what is wrong in one line', {
  timeout: 120_000,
}, async () => {
  const file = join(tempFolder(), 'self.yaml');
  const schema = fileURLToPath(new URL('../../dist/schema/script.schema.json', import.meta.url));
  const fitsSchema = new Ajv({ allowUnionTypes: true }).compile(
    JSON.parse(readFileSync(schema, 'utf8')) as object,
  );
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(script, async (content) => {
      const outcome = (await look(file, JSON.stringify(content))) === 'fine' ? 'fine' : 'wrong';
      // What editors check with refuses nothing that is right.
      if (outcome === 'fine') expect(fitsSchema(content)).toBe(true);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }),
    { numRuns: NUM_RUNS },
  );
  // Both are looked at.
  expect(outcomes.get('fine')).toBeGreaterThan(0);
  expect(outcomes.get('wrong')).toBeGreaterThan(0);
});

test('whatever the bytes of a file are, it is told in one line', { timeout: 120_000 }, async () => {
  const file = join(tempFolder(), 'self.yaml');
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.string({ maxLength: 60 })),
      async (bytes) => {
        await look(file, bytes);
      },
    ),
    { numRuns: NUM_RUNS },
  );
});

test.each([
  ['lists', `steps: ${'['.repeat(50_000)}`],
  ['closed lists', `{"steps": ${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  [
    'choices',
    `{"steps": ${'[{"choices":[{"expect":"a","then":'.repeat(3000)}["fresh"]${'}]}]'.repeat(3000)}}`,
  ],
  [
    'aliases',
    `a: &a [x, x]\n${Array.from({ length: 30 }, (_, index) => `b${index}: &b${index} [*${index === 0 ? 'a' : `b${index - 1}`}, *${index === 0 ? 'a' : `b${index - 1}`}]\n`).join('')}steps: *b29\n`,
  ],
  ['a value that holds itself', 'steps: &a [*a]\n'],
  ['as many steps as nobody writes', `steps:\n${'  - fresh\n'.repeat(20_000)}`],
  ['a file as large as nobody writes', `steps:\n${'  - send: aaaaaaaaaaaaaaaaaaa\n'.repeat(50_000)}`],
])('%s without end are told in one line', async (_what, content) => {
  expect(await look(join(tempFolder(), 'self.yaml'), content)).not.toBe('fine');
});
