import { readFileSync } from 'node:fs';
import { visible } from './text.ts';

const MAX_COMMAND_CHARACTERS = 120;

/** A process for people: `process 812 (tio /dev/ttyUSB0)`; control bytes in its command line are made visible. */
export function describeProcess(pid: number): string {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return `process ${pid} (${visible(Buffer.from(command.slice(0, MAX_COMMAND_CHARACTERS)))})`;
  } catch {
    return 'another program'; // gone, or hidden by the pid namespace
  }
}
