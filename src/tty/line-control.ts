/** What a tty does besides carrying bytes: breaks, modem lines, and a format of its own. For every driver. */

import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { endBreak, startBreak, whatIsUnsent } from '../native/line-break.ts';
import { setModemLines } from '../native/modem-lines.ts';
import { readLineSettings, readTtySettings } from '../native/termios.ts';
import type { ConsoleOptions, DrivenLines } from './console.ts';
import { ttyGone } from './tty-errors.ts';

/** No event tells when a tty has sent everything. */
const LOOK_EACH_MS = 2;

/**
 * In that many bit times a chip has sent all that it can hold. The driver of FTDI chips goes by what the chip last said,
 * which may be nothing, or old: a chip is not asked while nobody reads. Source: FT2232H data sheet (4 kB).
 */
const CHIP_BITS = 4096 * 12;

/** A UART is out of step by the end of a byte when the two clocks are further apart. */
const RATE_TOLERANCE = 0.05;

/** As {@link Console.sendBreak}. @throws the reason of `until` */
export async function sendBreak(
  fd: number,
  label: string,
  durationMs: number,
  until: AbortSignal,
): Promise<void> {
  try {
    until.throwIfAborted();
    await untilSent(fd, until);
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

async function untilSent(fd: number, until: AbortSignal): Promise<void> {
  const chipMs = (CHIP_BITS * 1000) / readTtySettings(fd).baudRate;
  let inChipSinceMs: number | undefined;
  for (let unsent = whatIsUnsent(fd); unsent !== 'nothing'; unsent = whatIsUnsent(fd)) {
    const nowMs = performance.now();
    inChipSinceMs = unsent === 'in the chip' ? (inChipSinceMs ?? nowMs) : undefined;
    if (inChipSinceMs !== undefined && nowMs - inChipSinceMs > chipMs) return;
    await sleep(LOOK_EACH_MS, undefined, { signal: until });
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
export function checkTaken(
  fd: number,
  { label, baudRate, format = '8N1', flow = 'none' }: ConsoleOptions,
): void {
  const taken = readLineSettings(fd);
  const takenRate = readTtySettings(fd).baudRate;
  const refuse = (what: string, wanted: string, found: string): RigError =>
    new RigError(
      'hardware',
      `${label}: expected a tty that can do ${what} ${wanted}, its driver has left it at ${found}; use another adapter or ${what}`,
    );
  const isNear = Math.abs(takenRate - baudRate) <= baudRate * RATE_TOLERANCE;
  if (!isNear) throw refuse('speed', `${baudRate}`, `${takenRate}`);
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
