import { fileURLToPath } from 'node:url';
import { runMain } from '../base/run-main.ts';
import { runCommand } from './run-command.ts';

// Beside this one once built.
const regexProgram = fileURLToPath(new URL('expect-regex.cjs', import.meta.url));

void runMain('sai-expect', (invocation) => runCommand(invocation, regexProgram));
