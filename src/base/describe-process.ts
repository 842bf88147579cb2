import { readFileSync } from 'node:fs';
import { oneLine } from './one-line.ts';

/** A process for people, by its number and command line: `process 812 (tio /dev/ttyUSB0)`; our own is `this process`. */
export function describeProcess(pid: number): string {
  if (pid === process.pid) return 'this process';
  try {
    const command = withoutNodeFlags(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'))
      .join(' ')
      .trim();
    return command === '' ? `process ${pid}` : `process ${pid} (${oneLine(command)})`;
  } catch {
    return 'another program'; // gone, or hidden by the pid namespace
  }
}

/** Those that a program of Node.js starts itself with tell people nothing; no further than to one that may have a value of its own. */
function withoutNodeFlags([program = '', ...args]: readonly string[]): string[] {
  const isNode = /(?:^|\/)node$/.test(program);
  const first = isNode ? args.findIndex((arg) => !/^--(?:no-|[\w-]+=)/.test(arg)) : 0;
  return [program, ...args.slice(Math.max(0, first))];
}
