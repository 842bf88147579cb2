/** Where a log proxy listens, as `SAI_LOGPROXY…` says: a path, or `@name` in the abstract namespace. */

import { RigError } from '../base/errors.ts';
import { checkSocketPath } from '../base/unix-socket.ts';

/** Before it, the runtime pads abstract names with NULs, and no C program meets it there. Source: libuv 1.46 and 1.51. */
const FIRST_NODE_WITH_ABSTRACT = 22;

/**
 * What `net.connect` and `server.listen` take for the value of a variable.
 *
 * @throws {RigError} blame `config` for a path that the kernel would cut, and for `@name` where the runtime cannot
 */
export function socketPathOf(value: string, nodeVersion = process.versions.node): string {
  if (value === '' || value.includes('\0')) {
    throw new RigError('config', `${JSON.stringify(value)}: expected a socket path or @name`);
  }
  checkSocketPath(value);
  if (!value.startsWith('@')) return value;
  if (Number.parseInt(nodeVersion, 10) < FIRST_NODE_WITH_ABSTRACT) {
    throw new RigError(
      'config',
      `${value}: abstract sockets need Node.js ${FIRST_NODE_WITH_ABSTRACT} or newer, this is ${nodeVersion}; use a path`,
    );
  }
  return `\0${value.slice(1)}`;
}
