/** What a tty does besides carrying bytes: breaks, modem lines, and a format of its own. For every driver. */

import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { endBreak, hasSentAll, startBreak } from '../native/line-break.ts';
import { setModemLines } from '../native/modem-lines.ts';
import { readLineSettings } from '../native/termios.ts';
import type { ConsoleOptions, DrivenLines } from './console.ts';
import { ttyGone } from './tty-errors.ts';

/** No event tells when a tty has sent everything. */
const LOOK_EACH_MS = 2;

/** As {@link Console.sendBreak}. @throws the reason of `until` */
export async function sendBreak(
  fd: number,
  label: string,
  durationMs: number,
  until: AbortSignal,
): Promise<void> {
  try {
    until.throwIfAborted();
    while (!hasSentAll(fd)) await sleep(LOOK_EACH_MS, undefined, { signal: until });
    startBreak(fd);
    try {
      await sleep(durationMs, undefined, { signal: until });
    } finally {
      endIfThere(fd);
    }
  } catch (error) {
    throw until.aborted ? until.reason : cannot(label, 'send a break', error);
  }
}

/** Not even the end of its break reaches a tty that is gone. */
function endIfThere(fd: number): void {
  try {
    endBreak(fd);
  } catch (error) {
    if (errnoCode(error) !== 'EIO' && errnoCode(error) !== 'EBADF') throw error;
  }
}

/** As {@link Console.drive}. */
export function driveLines(fd: number, label: string, { dtr, rts }: DrivenLines): void {
  try {
    setModemLines(fd, {
      ...(dtr === undefined ? {} : { dtr: dtr === 'on' }),
      ...(rts === undefined ? {} : { rts: rts === 'on' }),
    });
  } catch (error) {
    throw cannot(label, 'drive DTR and RTS', error);
  }
}

/** A driver drops in silence what its chip cannot do. @throws {RigError} blame `hardware` */
export function checkTaken(fd: number, { label, format = '8N1', flow = 'none' }: ConsoleOptions): void {
  const taken = readLineSettings(fd);
  const refuse = (what: string, wanted: string, found: string): RigError =>
    new RigError(
      'hardware',
      `${label}: expected a tty that can do ${what} ${wanted}, its driver has left it at ${found}; use another adapter or ${what}`,
    );
  if (taken.format !== format) throw refuse('format', format, taken.format);
  if (taken.flow !== flow) throw refuse('flow control', flow, taken.flow);
}

function cannot(label: string, what: string, error: unknown): RigError {
  const code = errnoCode(error);
  if (code === 'ENOTTY' || code === 'EINVAL' || code === 'EOPNOTSUPP') {
    const text = `${label}: expected a tty that can ${what}, this one cannot (${code}); a pty has no such lines`;
    return new RigError('hardware', text, { cause: error });
  }
  return code === 'EIO' || code === 'EBADF'
    ? ttyGone(label, error)
    : new RigError('hardware', `${label}: cannot ${what}: ${reasonOf(error)}`, { cause: error });
}
