#!/usr/bin/env node
// Runs a benchmark: node scripts/bench.mjs <name> [option...], which bundles and starts bench/<name>.ts.
// Each measures us beside a peer in the same run, because figures of shared machines mean nothing alone.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from './build.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const name = process.argv[2] ?? '';
const source = join(root, 'bench', `${name}.ts`);
if (!/^[\w-]+$/.test(name) || !existsSync(source)) {
  const names = readdirSync(join(root, 'bench')).flatMap((file) => /^(.+)\.ts$/.exec(file)?.[1] ?? []);
  console.error(`bench: expected one of ${names.join(', ')}, got ${JSON.stringify(name)}`);
  process.exit(64);
}
await build();
const { build: bundle } = await import('esbuild');
const scratch = mkdtempSync(join(tmpdir(), 'sai-bench-'));
try {
  const outfile = join(scratch, `${name}.mjs`);
  await bundle({
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  });
  const { bench } = await import(pathToFileURL(outfile).href);
  await bench({
    bin: join(root, 'bin'),
    scratch,
    print: (line) => console.log(line),
    args: process.argv.slice(3),
  });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
