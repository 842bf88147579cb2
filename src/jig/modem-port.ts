import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { readModemLines, writeModemLines } from '../native/modem-lines.ts';
import { isAbandoned } from '../native/poll.ts';
import { makeRaw, readTtySettings } from '../native/termios.ts';
import type { ModemLevels, ModemPort, ModemSource } from './modem-chip.ts';

/**
 * A tty of this host. At an open, by whomever, the kernel asserts both lines; at the last close, also of a process that
 * is killed, it ends to, unless somebody has cleared HUPCL.
 *
 * Source: Linux, drivers/tty/tty_port.c, `tty_port_block_til_ready`, `tty_port_shutdown`.
 */
export function modemSource(path: string): ModemSource {
  return { name: path, isThere: () => existsSync(path), open: (levels) => openPort(path, levels) };
}

function openPort(path: string, levels: ModemLevels): ModemPort {
  const fd = openTty(path);
  try {
    // In one call and first of all: what the kernel has just asserted lasts no longer than it has to.
    writeModemLines(fd, levels);
    endEcho(fd);
  } catch (error) {
    closeSync(fd);
    if (errnoCode(error) === 'ENOTTY') {
      throw new RigError('config', `${path}: expected a tty with modem lines, it has none`, { cause: error });
    }
    throw new RigError('unavailable', `${path}: ${reasonOf(error)}`, { cause: error });
  }
  let isOpen = true;
  return {
    set: (lines) => writeModemLines(fd, lines),
    get: () => readModemLines(fd),
    hasHungUp: () => isAbandoned(fd),
    close: () => {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

function openTty(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch (error) {
    const blame = errnoCode(error) === 'EBUSY' ? 'busy' : 'unavailable';
    throw new RigError(blame, `${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** A tty that is held with its first settings sends what the board says back to it. Others' settings are theirs. */
function endEcho(fd: number): void {
  const { echo, baudRate, hangUpOnClose } = readTtySettings(fd);
  if (echo) makeRaw(fd, { baudRate, hangUpOnClose });
}
