import { runMain } from '../base/run-main.ts';
import { saiLogproxy } from './cli.ts';

void runMain('sai-logproxy', saiLogproxy, { signals: 'own' });
