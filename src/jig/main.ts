import { runMain } from '../base/run-main.ts';
import { saiJig } from './cli.ts';

void runMain('sai-jig', saiJig);
