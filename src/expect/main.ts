import { runMain } from '../base/run-main.ts';
import { runCommand } from './run-command.ts';

void runMain('sai-expect', runCommand);
