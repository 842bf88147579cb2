import { isatty } from 'node:tty';
import { runMain } from '../base/run-main.ts';
import { saiJig } from './cli.ts';

void runMain('sai-jig', (invocation) =>
  // Some terminals say 0 when they do not know.
  saiJig(invocation, () => (isatty(1) && process.stdout.columns) || undefined),
);
