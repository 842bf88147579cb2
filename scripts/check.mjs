#!/usr/bin/env node
// Everything that has to hold before a change is handed in: format and lint (with the import arrows), promises,
// types, dead code, tests.

import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setUpOrExit } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

await setUpOrExit('tests');
// Ctrl-C ends what runs, too: this ends after it, and not before it has cleared up.
process.on('SIGINT', () => {});
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
  const { status, signal } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (signal !== null) process.exit(128 + constants.signals[signal]);
  if (status !== 0) process.exit(status ?? 1);
}
