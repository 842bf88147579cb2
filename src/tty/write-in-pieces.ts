import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode } from '../base/errors.ts';

/** A UART at 3 Mbaud empties 600 bytes of the kernel's 4 kB in this time: it never runs dry. */
const RETRY_MS = 2;

/**
 * Writes to a non-blocking descriptor for which no event tells when there is room, without stopping the process.
 *
 * @throws the reason of `until`; a system error when the tty is gone
 */
export async function writeInPieces(fd: number, bytes: Uint8Array, until: AbortSignal): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) {
    until.throwIfAborted();
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (errnoCode(error) !== 'EAGAIN') throw error;
      await sleep(RETRY_MS);
    }
  }
}
