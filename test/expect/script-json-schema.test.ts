import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { readYamlFile } from '../../src/base/config-file.ts';
import { STEP_KINDS } from '../../src/expect/step-kinds.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** By another validator than ours, as an editor would. */
const validate = new Ajv({ allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(join(ROOT, 'dist/schema/script.schema.json'), 'utf8')) as object,
);

const files = ['profiles', 'examples/scripts'].flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => /\.(?:yaml|json)$/.test(name))
    .map((name) => join(folder, name)),
);

test.each(files)('the published schema takes %s', async (file) => {
  const { value } = await readYamlFile(join(ROOT, file));
  expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
});

test('the published schema says what each key and each step does', () => {
  const schema = readFileSync(join(ROOT, 'dist/schema/script.schema.json'), 'utf8');
  const { properties } = JSON.parse(schema) as { properties: Record<string, { description?: string }> };
  const { $schema: _editors, ...keys } = properties;
  for (const [key, { description }] of Object.entries(keys)) expect(description, key).toMatch(/\w/);
  for (const kind of Object.keys(STEP_KINDS)) expect(schema).not.toContain(`"description": "${kind}"`);
  expect(schema).toContain('"description": "Waits for the text; what it matched is used up."');
  expect(schema).toContain('"description": "Exactly so often."');
});

test('the published schema takes each kind of step', () => {
  const steps = [
    'fresh',
    { send: 'a', within: '1s' },
    { pause: '1s' },
    { dtr: 'on' },
    { ysend: 'fw.bin' },
    {
      choices: [
        { expect: 'a', goto: 'next' },
        // biome-ignore lint/suspicious/noThenProperty: it is a script
        { regex: 'b', then: ['fresh'] },
      ],
      within: '2s',
    },
    { label: 'a', limit: 2 },
    { goto: 'a' },
    { loop: { limit: 3, steps: [{ repeat: { times: 2, steps: ['fresh'] } }] } },
    { fail: 'why' },
    { call: 'a.yaml', with: { user: 'me' } },
    { parallel: { 0: ['fresh'], second: [{ expect: 'x' }] } },
  ];
  expect(validate({ $schema: 'x', steps }), JSON.stringify(validate.errors)).toBe(true);
});

describe('the published schema refuses', () => {
  test.each<[string, object]>([
    ['no steps', {}],
    ['an empty list of steps', { steps: [] }],
    ['a misspelt key', { steps: ['fresh'], step: [] }],
    ['a misspelt step', { steps: [{ exepct: 'a' }] }],
    ['two kinds of step in one', { steps: [{ send: 'a', expect: 'b' }] }],
    ['a number as text', { steps: [{ send: 12 }] }],
    ['a time of a step that does not wait', { steps: [{ pause: '1s', within: '2s' }] }],
    ['a loop without a limit', { steps: [{ loop: { steps: ['fresh'] } }] }],
    [
      'a misspelt step within',
      { steps: [{ loop: { limit: 1, steps: [{ loop: { limit: 1, steps: ['frsh'] } }] } }] },
    ],
  ])('%s', (_name, script) => {
    expect(validate(script)).toBe(false);
  });
});
