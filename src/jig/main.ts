import { isatty } from 'node:tty';
import { runMain } from '../base/run-main.ts';
import { saiJig } from './cli.ts';

void runMain('sai-jig', (invocation) =>
  saiJig(invocation, () => (isatty(1) ? process.stdout.columns : undefined)),
);
