import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { profileNames } from '../../src/expect/profiles.ts';
import { type LoadedScript, loadScript } from '../../src/expect/script-file.ts';

const EXAMPLES = new URL('../../examples/scripts', import.meta.url).pathname;

function load(file: string, missingValues: 'refused' | 'taken'): Promise<LoadedScript> {
  return loadScript({
    file,
    variables: [],
    lineEnd: undefined,
    env: {},
    unsafe: undefined,
    missingValues,
    pass: 'of the file',
  });
}

test.each(profileNames())(
  'the profile @%s runs as it is, and says what it does and what it takes',
  async (name) => {
    const { about, variables } = await load(`@${name}`, 'refused');
    expect(about?.split('\n')[0]).toMatch(/^[A-Z].*\.$/);
    for (const line of variables) expect(line).toMatch(/; .+/);
  },
);

const examples = readdirSync(EXAMPLES, { recursive: true }).map(String);

test.each(examples.filter((name) => /\.(?:yaml|json)$/.test(name)))(
  'the example %s is right',
  async (name) => {
    expect((await load(join(EXAMPLES, name), 'taken')).script.steps).not.toEqual([]);
  },
);
