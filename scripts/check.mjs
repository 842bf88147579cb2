#!/usr/bin/env node
// Everything that has to hold before a change is handed in: format and lint (with the import arrows), promises,
// types, dead code, tests.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setUpOrExit } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

await setUpOrExit('tests');
const CHECKS = [
  ['format, lint, import arrows', 'biome', ['check', '--error-on-warnings', '.']],
  ['promises', 'oxlint', ['--type-aware', '--deny-warnings', 'src', 'test']],
  ['types', 'tsc', ['-p', '.']],
  ['dead code', 'knip', []],
];
for (const [what, program, args] of CHECKS) {
  console.log(`check: ${what} (${program})`);
  runOrExit(join(root, 'node_modules/.bin', program), args);
}
console.log('check: tests');
runOrExit(process.execPath, [join(root, 'scripts/test.mjs')]);

function runOrExit(program, args) {
  const { status } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}
