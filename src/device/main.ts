import { fileURLToPath } from 'node:url';
import { runMain } from '../base/run-main.ts';
import { saiDevice } from './cli.ts';

// Beside this one once built.
const guardProgram = fileURLToPath(new URL('device-guard.cjs', import.meta.url));

void runMain('sai-device', (invocation) => saiDevice(invocation, guardProgram), { signals: 'own' });
