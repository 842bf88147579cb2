import { lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { errnoCode, RigError, reasonOf } from './errors.ts';

/** Longest path a socket can have; longer ones are cut in silence. Source: unix(7), `sun_path[108]` with its NUL. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** @throws {RigError} blame `config` when the kernel would cut the path and listen elsewhere */
export function checkSocketPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (length <= MAX_SOCKET_PATH_BYTES) return;
  throw new RigError(
    'config',
    `${path}: expected a socket path of at most ${MAX_SOCKET_PATH_BYTES} bytes, got ${length}; use a shorter folder`,
  );
}

/**
 * Listens on `path`, taking over a socket file that a killed process left behind.
 *
 * @throws {RigError} blame `config` when the path is too long, cannot be made, or is served by a living process
 */
export async function listenOnUnixSocket(server: Server, path: string): Promise<void> {
  checkSocketPath(path);
  try {
    await listen(server, path);
  } catch (error) {
    if (errnoCode(error) !== 'EADDRINUSE') {
      throw new RigError('config', `${path}: cannot listen there: ${reasonOf(error)}`, { cause: error });
    }
    if (!lstatSync(path).isSocket()) {
      throw new RigError('config', `${path}: expected a free socket path, found a file that is no socket`);
    }
    if (await answers(path)) {
      throw new RigError('config', `${path}: expected a free socket path, found a process that serves it`);
    }
    unlinkSync(path);
    await listen(server, path);
  }
}

/**
 * A connected socket.
 *
 * @throws {RigError} blame `config` for a path too long, `unavailable` when nobody serves it
 */
export async function connectToUnixSocket(path: string): Promise<Socket> {
  checkSocketPath(path);
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  } catch (error) {
    throw new RigError('unavailable', `${path}: nobody answers on this socket: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return socket;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function answers(path: string): Promise<boolean> {
  try {
    (await connectToUnixSocket(path)).destroy();
    return true;
  } catch {
    return false; // the whole question was whether somebody is there
  }
}
