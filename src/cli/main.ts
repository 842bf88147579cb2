import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { packageFile } from '../base/package-file.ts';
import { runMain } from '../base/run-main.ts';
import { OWN_COMMANDS, sai } from './cli.ts';

const [, , word = ''] = process.argv;
const sibling = packageFile(`bin/sai-${word}`);

if (/^[a-z-]+$/.test(word) && !OWN_COMMANDS.includes(word) && existsSync(sibling)) {
  // In this very process: signals, terminal and status are that command's own.
  process.argv.splice(1, 2, sibling);
  createRequire(import.meta.url)(sibling);
} else {
  void runMain('sai', sai);
}
