import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfigFile } from '../../src/base/config-file.ts';
import { tempFolder } from '../temp-folder.ts';

function configFile(text: string): string {
  const path = join(tempFolder(), 'conf');
  writeFileSync(path, text);
  return path;
}

test.each([
  ['plain JSON', '{"devices": []}', { devices: [] }],
  [
    'comments and trailing commas',
    '# the bench\n{\n\t"devices": [ # none yet\n\t\t1,\n\t],\n}\n',
    { devices: [1] },
  ],
  ['a hash and tab inside a string', '{"a": "x # y\\t", # c\n}', { a: 'x # y\t' }],
  ['an empty array', '[]', []],
])('%s is read', async (_name, text, value) => {
  expect(await readConfigFile(configFile(text))).toEqual(value);
});

test.each([
  ['a missing comma', '{\n  "a": 1\n  "b": 2\n}', /conf:\d+:\d+: expected JSON: /],
  ['a missing brace', '{"a": [1, 2}', /conf:\d+:\d+: expected JSON: /],
  ['the same key twice', '{"a": 1, "a": 2, }', /conf:1:\d+: expected JSON: Map keys must be unique/],
  ['YAML that is not JSON', 'devices: []', /conf: expected JSON, got /],
  ['an alias of YAML that leads nowhere', '{"a": *x}', /conf: expected JSON: Unresolved alias/],
  ['an empty file', '', /conf: expected JSON, got /],
])('%s is refused on one line with its place', async (_name, text, message) => {
  const refused = expect.objectContaining({ blame: 'config', message: expect.stringMatching(message) });
  await expect(readConfigFile(configFile(text))).rejects.toEqual(refused);
});

test('a missing file says what to do', async () => {
  const path = join(tempFolder(), 'none');
  await expect(readConfigFile(path)).rejects.toMatchObject({
    blame: 'config',
    message: `${path}: expected a config file, found none; write one or name another with --config`,
  });
});
