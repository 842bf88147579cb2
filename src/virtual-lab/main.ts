import { runMain } from '../base/run-main.ts';
import { runCli } from './cli.ts';

void runMain('sai-virtual-lab', runCli);
