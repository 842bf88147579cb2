import { openSerialConsole } from '../../src/tty/serial-console.ts';
import { consoleContract } from './console-contract.ts';

consoleContract(openSerialConsole, { flushesAtOpen: 'standard rates' });
