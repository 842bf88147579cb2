#!/usr/bin/env node
// Runs a benchmark: node scripts/bench.mjs <name> [option...], which bundles and starts bench/<name>.ts.
// Each measures us beside a peer in the same run, because figures of shared machines mean nothing alone.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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

/** Sources that look for files beside themselves find them, wherever they are bundled to. */
const ownPlaces = {
  name: 'own-places',
  setup({ onLoad }) {
    onLoad({ filter: /\.(?:ts|mjs)$/ }, ({ path }) => {
      if (path.includes('/node_modules/')) return undefined;
      const own = JSON.stringify(pathToFileURL(path).href);
      const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', own);
      return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
    });
  },
};
const { build: bundle } = await import('esbuild');
const scratch = mkdtempSync(join(tmpdir(), 'sai-bench-'));
// Where it finds the packages that it imports.
const bundled = join(root, `.dist-bench-${process.pid}`);
try {
  const outfile = join(bundled, `${name}.mjs`);
  await bundle({
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    packages: 'external',
    plugins: [ownPlaces],
  });
  const { bench } = await import(pathToFileURL(outfile).href);
  await bench({
    bin: join(root, 'bin'),
    scratch,
    print: (line) => console.log(line),
    args: process.argv.slice(3),
  });
} finally {
  for (const folder of [scratch, bundled]) rmSync(folder, { recursive: true, force: true });
}
