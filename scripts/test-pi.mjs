#!/usr/bin/env node
// Runs the tests of test/pi: the built sai-jig on an emulated Raspberry Pi 3. Not part of npm test: it fetches 100 MB
// once, and takes about a minute. Arguments go to vitest.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setUpOrExit } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
await setUpOrExit('heavy');
const vitest = spawn(
  process.execPath,
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    `--root=${join(root, 'test/pi')}`,
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit' },
);
const [status] = await once(vitest, 'close');
process.exitCode = status ?? 1;
