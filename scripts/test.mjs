#!/usr/bin/env node
// The one test command: sets up what is missing, runs every test that this machine can run, says aloud what it
// cannot, and ends with one line: N passed, N failed, N skipped.
//
//   npm test                      everything
//   npm test -- test/expect       some of it (arguments go to vitest)
//   SAI_TEST_REQUIRE=all npm test a skip that test/allowed-skips.txt does not list is a failure

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeFolder } from './remove-folder.mjs';
import { setUpOrExit } from './setup.mjs';

const USAGE = `Usage: npm test [-- [FILTER...] [OPTIONS]]

Sets up what is missing, runs every test that this machine can run, and ends with: N passed, N failed, N skipped.

  npm test -- test/expect        only files whose path has that in it; options are those of vitest run (-t PATTERN, ...)
  SAI_TEST_REQUIRE=all npm test  a skip that test/allowed-skips.txt does not list is a failure
  npm run check                  format, lint, types and dead code as well
`;

if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
  process.stdout.write(USAGE);
  process.exit(0);
}

const root = fileURLToPath(new URL('..', import.meta.url));

await setUpOrExit('tests');
/** Every test's temporary folder lies in here, and goes with it, also after Ctrl-C. Short: sockets have 107 bytes. */
const scratch = mkdtempSync(join(tmpdir(), 'sai-t-'));
chmodSync(scratch, 0o755); // some tests run as another user
let stoppedBy;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    stoppedBy = signal;
  });
}
try {
  const outcomeFile = join(scratch, 'outcome.json');
  const vitest = spawn(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--reporter=default',
      `--reporter=${join(root, 'scripts/outcome-reporter.mjs')}`,
      ...process.argv.slice(2),
    ],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, TMPDIR: scratch, SAI_TEST_OUTCOME: outcomeFile },
    },
  );
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => vitest.kill(signal));
  const [status] = await once(vitest, 'close');
  process.exitCode = stoppedBy
    ? 128 + constants.signals[stoppedBy]
    : report(readOutcome(outcomeFile), status);
} finally {
  await removeFolder(scratch);
}

function readOutcome(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: [] }; // the runner fell over before any test: its status tells
  }
}

function report({ passed, failed, skipped }, status) {
  const requireAll = process.env.SAI_TEST_REQUIRE === 'all';
  const allowed = readAllowedSkips();
  const refused = skipped.filter((each) => requireAll && !allowed.some((name) => each.name.includes(name)));
  for (const each of skipped) {
    const mark = refused.includes(each) ? 'SKIPPED, AND NOT ALLOWED TO BE' : 'skipped';
    console.log(`${mark}: ${each.name}: ${each.reason}`);
  }
  const failures = failed + refused.length;
  console.log(`${passed} passed, ${failures} failed, ${skipped.length - refused.length} skipped`);
  return failures === 0 && status === 0 && passed > 0 ? 0 : 1;
}

/** Lines of `part of the test's full name: reason`. */
function readAllowedSkips() {
  return readFileSync(join(root, 'test/allowed-skips.txt'), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => line.slice(0, line.lastIndexOf(': ')));
}
