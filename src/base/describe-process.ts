import { readFileSync } from 'node:fs';
import { oneLine } from './one-line.ts';

/** A process for people, by its number and command line: `process 812 (tio /dev/ttyUSB0)`; our own is `this process`. */
export function describeProcess(pid: number): string {
  if (pid === process.pid) return 'this process';
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return command === '' ? `process ${pid}` : `process ${pid} (${oneLine(command)})`;
  } catch {
    return 'another program'; // gone, or hidden by the pid namespace
  }
}
