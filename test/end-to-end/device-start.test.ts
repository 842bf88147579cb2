import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Bench, SAI_DEVICE } from '../peers/bench.ts';

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));

/** As a shell starts it: by its first line. */
function startByName(bench: Bench, script: string, env: NodeJS.ProcessEnv): string {
  return spawnSync(SAI_DEVICE, ['uno', 'sh', '-c', script], {
    env: { ...bench.env, ...env },
  }).stdout.toString();
}

test('the certificates that the start leaves aside reach the command, and nothing else does', async () => {
  await using bench = new Bench();
  const script = 'echo "$NODE_EXTRA_CA_CERTS"; env | grep -c ^SAI_CA=';
  expect(startByName(bench, script, { NODE_EXTRA_CA_CERTS: '/etc/my certs.pem' })).toBe(
    '/etc/my certs.pem\n0\n',
  );
});

test('a command that had no certificates gets none', async () => {
  await using bench = new Bench();
  expect(startByName(bench, 'env | grep -c -e NODE_EXTRA -e ^SAI_CA=', {})).toBe('0\n');
});

test.each(['device', 'expect', 'jig', 'logproxy', 'cli', 'virtual-lab'])(
  'the code cache of %s belongs to its bundle, and V8 takes it',
  (command) => {
    const bundle = join(DIST, `${command}.cjs`);
    const cache = readFileSync(join(DIST, `${command}.${process.arch}.cache`));
    expect(cache.toString('latin1', 0, 20)).toBe(readFileSync(bundle, 'latin1').slice(0, 20));
    const { stdout } = spawnSync(process.execPath, [
      '-e',
      `const { readFileSync } = require('node:fs');
       const source = require('node:module').wrap(readFileSync(${JSON.stringify(bundle)}, 'latin1'));
       const cachedData = readFileSync(${JSON.stringify(bundle.replace(/cjs$/, `${process.arch}.cache`))}).subarray(20);
       console.log(new (require('node:vm').Script)(source, { cachedData }).cachedDataRejected);`,
    ]);
    expect(stdout.toString()).toBe('false\n');
  },
);

test('a cache of another bundle is not used', async () => {
  await using bench = new Bench();
  const folder = bench.file('dist');
  spawnSync('cp', ['-r', DIST, folder]);
  spawnSync('cp', ['-r', join(DIST, '../bin'), bench.file('bin')]);
  const bundle = join(folder, 'cli.cjs');
  // Of the same length: all that V8 compares.
  const other = readFileSync(bundle, 'latin1').replaceAll(
    'What people in a lab ask',
    'WHAT PEOPLE IN A LAB ASK',
  );
  writeFileSync(bundle, other.replace(/^\/\/./, '//x'));
  const { stdout } = spawnSync(process.execPath, [bench.file('bin/sai'), '--help']);
  expect(stdout.toString()).toContain('WHAT PEOPLE IN A LAB ASK');
});
