import { errnoCode, RigError, reasonOf } from '../base/errors.ts';

/** Why a tty could not be opened, for who can touch the rig. */
export function ttyRefused(label: string, error: unknown): RigError {
  return new RigError('hardware', `${label}: ${whyRefused(error)}`, { cause: error });
}

function whyRefused(error: unknown): string {
  switch (errnoCode(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'expected a tty, found nothing at this path; is the board plugged in?';
    case 'ENXIO':
      return 'expected a tty, found a socket, or a node without a device behind it (ENXIO); is the board plugged in?';
    case 'ENODEV':
    case 'EIO':
      return `expected a tty, found a node without a device behind it (${errnoCode(error)}); is the board plugged in?`;
    case 'EACCES':
    case 'EPERM':
      return `cannot be opened for reading and writing (${errnoCode(error)}); this login needs the group that owns it, often dialout`;
    case 'EBUSY':
      return 'is in exclusive use by another program (EBUSY); end that program';
    case 'ENOTTY':
    case 'EINVAL':
    case 'EISDIR':
      return `expected a tty, found something else (${errnoCode(error)}); name the device node`;
    default:
      return `cannot be opened: ${reasonOf(error)}`;
  }
}

/** A tty that was there and is not any more. */
export function ttyGone(label: string, cause?: unknown): RigError {
  const detail = cause === undefined ? 'hang-up' : (errnoCode(cause) ?? reasonOf(cause));
  return new RigError('hardware', `${label}: the tty went away (${detail})`, {
    cause,
  });
}

/** For the programmer: a console was used after it was let go of. */
export function consoleReleased(label: string): Error {
  return new Error(`${label}: this console has been released`);
}
