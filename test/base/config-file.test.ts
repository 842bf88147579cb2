import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
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
  [
    'a key in several objects',
    '{"a": {"a": [{"a": "a"}, {"a": "\\"a\\": 1"}]}}',
    { a: { a: [{ a: 'a' }, { a: '"a": 1' }] } },
  ],
  ['a comment of many hashes after a comma', `[1, ${'# '.repeat(200)}\n 2]`, [1, 2]],
  ['keys without quotes', '{devices: [], # none\n}', { devices: [] }],
])('%s is read', async (_name, text, value) => {
  expect(await readConfigFile(configFile(text))).toEqual(value);
});

test.each([
  [
    'a missing comma',
    '{\n  "a": 1\n  "b": 2\n}',
    /conf:3:3: expected JSON: expected ',' or '}' after property value$/,
  ],
  [
    'a missing comma after a comment',
    '{ # a, b\n  "a": [{}\n  {}]\n}',
    /conf:3:3: expected JSON: expected ',' or ']' after array element$/,
  ],
  ['a missing bracket', '{"a": [1, 2}', /conf:1:12: expected JSON: expected ',' or ']' after array element$/],
  ['an end too soon', '{"a": [\n', /conf:2:1: expected JSON: unexpected end$/],
  ['a value that is missing', '{"a": {"b": }]}', /conf:1:\d+: expected JSON: unexpected }$/],
  ['the same key twice', '{"a": 1,\n "a" : 2}', /conf:2:2: expected each key once, got "a" again$/],
  [
    'a key in two spellings',
    '{"b": [{"a": {}, "\\u0061": 2}]}',
    /conf:1:18: expected each key once, got "\\u0061" again$/,
  ],
  [
    'the same key twice, relaxed',
    '{"a": 1, # "a":\n "a": 2, }',
    /conf:2:2: expected each key once, got "a" again$/,
  ],
  ['the same key twice without quotes', '{a: 1,\n a: 2}', /conf:2:2: expected each key once, got a again$/],
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

test('a folder, a device and a file of any size are refused without being read', async () => {
  const folder = join(tempFolder(), 'conf');
  mkdirSync(folder);
  const large = configFile('');
  truncateSync(large, 5_000_000_000);
  const texts = await Promise.all(
    [folder, '/dev/zero', large].map((path) =>
      readConfigFile(path).catch((error: Error) => error.message.replace(path, 'conf')),
    ),
  );
  const cure = 'write one or name another with --config';
  expect(texts).toEqual([
    `conf: expected a config file, found a folder; ${cure}`,
    `conf: expected a config file, found a device, pipe or socket; ${cure}`,
    `conf: expected a config file of at most 4000000 bytes, found 5000000000; ${cure}`,
  ]);
});
